// Draws the charts, filters by suite, data set and tier, and fills a run's row when it is opened.
"use strict";
(() => {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const narrow = window.matchMedia("(max-width: 640px)");

  // a curve is two lists: epochs, and percent
  const points = ([epochs = [], accuracy = []]) =>
    epochs.map((epoch, i) => ({epochs: epoch, accuracy: accuracy[i]}));

  function draw(place, specs, extra) {
    const spec = {...specs[narrow.matches ? "narrow" : "wide"]};
    spec.datasets = {...page.datasets, ...extra};
    spec.background = null;
    // ast: expressions are interpreted, so that the page can forbid eval
    return vegaEmbed(place, spec, {
      ast: true, actions: false, renderer: "svg", defaultStyle: false,
      tooltip: {disableDefaultStyle: true},
    });
  }

  function drawChart(place) {
    const chart = page.charts[place.dataset.chart];
    const curves = chart.curves.flatMap(
      ([run, kind]) => points(page.runs[run].curve).map((point) => ({run, kind, ...point})));
    return draw(place, chart.specs, {curves});
  }

  function drawRun(place, run) {
    const level = run.level === null ? [] : [{accuracy: run.level}];
    return draw(place, page.runChart, {curve: points(run.curve), level});
  }

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function flat(value, key, lines) {
    if (value !== null && typeof value === "object" && !Array.isArray(value)) {
      for (const [name, below] of Object.entries(value)) {
        flat(below, key ? `${key}.${name}` : name, lines);
      }
    } else {
      lines.push(`${key}: ${typeof value === "string" ? value : JSON.stringify(value)}`);
    }
    return lines;
  }

  function fill(row) {
    const place = row.querySelector(".opened");
    if (place.childElementCount) return;
    const run = page.runs[row.dataset.run];
    const facts = element("dl");
    run.facts.forEach((value, i) => {
      if (value !== null) facts.append(element("dt", page.facts[i]), element("dd", value));
    });
    place.append(element("h3", "The command that repeats it"));
    place.append(run.command
      ? element("pre", run.command)
      : element("p", "None: it was not trained by this program."));
    if (run.curve.length) {
      const drawn = run.curve[0].length;
      const last = run.curve[1][drawn - 1];
      const chart = element("div", undefined, "chart");
      chart.setAttribute("role", "img");
      chart.setAttribute("aria-label",
        `Accuracy of ${row.dataset.run} against epochs; the last evaluation has ${last} %.`);
      const share = drawn < run.evaluations
        ? `${drawn} of its ${run.evaluations} evaluations are drawn` : "all its evaluations";
      place.append(element("h3", "Its learning curve"), chart,
        element("p", `${run.metric.replace("top", "top-")}; dashed: the target; ${share}.`, "about"));
      drawRun(chart, run);
    }
    place.append(element("h3", "Facts"), facts);
    const config = Object.fromEntries(
      Object.entries(run.config).map(([name, at]) => [name, page.shared[at]]));
    const provenance = page.shared[run.provenance];
    place.append(element("h3", "Configuration"), element("pre", flat(config, "", []).join("\n")));
    if (provenance !== null) {
      place.append(element("h3", "Code and machine"),
        element("pre", flat(provenance, "", []).join("\n")));
    }
  }

  const form = document.getElementById("filters");

  function filter() {
    const wanted = [...new FormData(form)].filter(([, value]) => value);
    const fits = (id) => wanted.every(([name, value]) => page.runs[id][name] === value);
    const rows = [...document.querySelectorAll(".run")];
    for (const row of rows) row.hidden = !fits(row.dataset.run);
    for (const set of document.querySelectorAll(".set")) {
      set.hidden = !page.sets[set.id].some(fits);
    }
    const shown = rows.filter((row) => !row.hidden).length;
    document.getElementById("shown").textContent =
      `${shown} of ${page.total} runs shown; a filter hides and changes no number`;
  }

  form.addEventListener("change", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const row of document.querySelectorAll(".run")) {
    row.addEventListener("toggle", () => { if (row.open) fill(row); });
  }
  const drawAll = () => Promise.all([...document.querySelectorAll("[data-chart]")].map(drawChart));
  narrow.addEventListener("change", drawAll);
  // tells tests and scripts that all charts are drawn
  drawAll().then(() => document.documentElement.setAttribute("data-drawn", ""));
})();
