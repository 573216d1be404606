// A page opened from a folder may not start a Worker, in which the theme searches.  There, a hidden
// frame takes its place.  The name tells the theme's offline plugin that it need not fetch one.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      this.inside = new Promise((resolve) => {
        frame.onload = () => {
          frame.contentWindow.postMessage = (data) =>
            this.dispatchEvent(new MessageEvent("message", { data }));
          resolve(frame.contentWindow);
        };
      });
      frame.srcdoc = `<script src="${url}"></script>`;
      document.body.append(frame);
    }
    postMessage(data) {
      this.inside.then((page) => page.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
}
