"""Single layers and products, each with its multiply-adds by hand."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Functional(nn.Module):
    """Runs ``function(x, w)`` with a trained matrix w [4, 4]."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.w = nn.Parameter(torch.ones(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.w)


# (network, F at 3 x 8 x 8); every one is a single layer that reads the image
LAYERS = {
    "dense": (nn.Conv2d(3, 5, 3), 6 * 6 * 5 * 27),
    "grouped": (nn.Conv2d(3, 6, 3, groups=3), 6 * 6 * 6 * 9),
    "strided, dilated": (nn.Conv2d(3, 5, 3, stride=2, dilation=2), 2 * 2 * 5 * 27),
    "same": (nn.Conv2d(3, 5, 3, padding="same"), 8 * 8 * 5 * 27),
    "valid, grouped": (nn.Conv2d(3, 6, 3, padding="valid", groups=3), 6 * 6 * 6 * 9),
    # one filter per input pixel: 8 x 8 pixels, 3 x 5 x 2 x 2 weights
    "transposed": (nn.ConvTranspose2d(3, 5, 2, stride=2), 8 * 8 * 3 * 5 * 4),
    "linear": (nn.Sequential(nn.Flatten(), nn.Linear(192, 7)), 192 * 7),
    "linear on the last axis": (nn.Linear(8, 7), 3 * 8 * 8 * 7),
}

# (network on x [2, 3, 4, 4] and w [4, 4], F per image).  y = x w costs 3 * 4 * 4 * 4 = 192 itself.
Y = 192
PRODUCTS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], int]] = {
    "matmul": (lambda x, w: (x @ w) @ w, Y + 3 * 4 * 4 * 4),
    # the first operand has no batch: two rows of one matrix times every image
    "matmul, broadcast": (lambda x, w: w[:2] @ (x @ w), Y + 3 * 2 * 4 * 4),
    "matmul, vector": (lambda x, w: (x @ w) @ w[0], Y + 3 * 4 * 4),
    "bmm": (lambda x, w: torch.bmm((x @ w)[:, 0], x[:, 1]), Y + 4 * 4 * 4),
    "mm": (lambda x, w: torch.mm((x @ w).flatten(0, 2), w), Y + 3 * 4 * 4 * 4),
    "mv": (lambda x, w: torch.mv((x @ w).flatten(0, 2), w[0]), Y + 3 * 4 * 4),
    "addmm": (lambda x, w: torch.addmm(w[0], (x @ w).flatten(0, 2), w), Y + 3 * 4 * 4 * 4),
    "addmv": (lambda x, w: torch.addmv(w[0, 0], (x @ w).flatten(0, 2), w[0]), Y + 3 * 4 * 4),
    "baddbmm": (lambda x, w: torch.baddbmm(w, (x @ w)[:, 0], (x @ w)[:, 1]), 2 * Y + 4 * 4 * 4),
    "addbmm": (lambda x, w: torch.addbmm(w, (x @ w)[:, 0], (x @ w)[:, 1]), 2 * Y + 4 * 4 * 4),
    "tensordot": (lambda x, w: torch.tensordot(x @ w, w, dims=([2], [0])), Y + 3 * 4 * 4 * 4),
    "tensordot over two": (
        lambda x, w: torch.tensordot(x @ w, w, dims=([2, 3], [0, 1])),
        Y + 3 * 4 * 4,
    ),
    "einsum": (lambda x, w: torch.einsum("nchw, wv -> nchv", x @ w, w), Y + 3 * 4 * 4 * 4),
    "einsum, implicit": (lambda x, w: torch.einsum("nchw,wv", x @ w, w), Y + 3 * 4 * 4 * 4),
    "einsum, ellipsis": (
        lambda x, w: torch.einsum("...hw,...vw->...hv", x @ w, x @ w),
        2 * Y + 3 * 4 * 4 * 4,
    ),
    # h occurs once and is summed before the product: no MACs over it
    "einsum, lone index": (lambda x, w: torch.einsum("nchw,wv->ncv", x @ w, w), Y + 3 * 4 * 4),
    "einsum, one operand": (lambda x, w: torch.einsum("nchw->nwhc", x @ w), Y),
}
