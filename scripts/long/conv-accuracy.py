"""The errors of convolutions against PyTorch's float64, over all numbers of each tensor.

Reads one JSON object {batch, inC, size, outC, kind, results: {name: {y, dx, dWeight}}} from standard input; the results are files of
raw float32. Inputs are test/helpers/conv-accuracy.ts's, made again by the same formula. Prints {name: {y, dx, dWeight}}: the largest
error of each over its largest value in float64.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "test" / "fixtures"))
from fixture_tools import formula_fill, he_scale  # noqa: E402


def tensor(t, scale, *shape):
    return torch.from_numpy(formula_fill(int(np.prod(shape)), t, scale).reshape(shape)).double()


def main():
    job = json.load(sys.stdin)
    batch, in_c, size, out_c = (job[key] for key in ("batch", "inC", "size", "outC"))
    x = tensor(0, 2, batch, in_c, size, size)
    if job["kind"] == "rectified":
        x = x.clamp_(min=0)
    weight = tensor(1, he_scale(in_c * 9), out_c, in_c, 3, 3)
    dy = tensor(2, 2, batch, out_c, size, size)
    y = F.conv2d(x.requires_grad_(), weight.requires_grad_(), padding=1)
    y.backward(dy)
    exact = {"y": y.detach().numpy().ravel(), "dx": x.grad.numpy().ravel(), "dWeight": weight.grad.numpy().ravel()}
    largest = {key: float(np.abs(values).max()) for key, values in exact.items()}
    errors = {}
    for name, files in job["results"].items():
        errors[name] = {}
        for key, path in files.items():
            actual = np.fromfile(path, np.float32)
            assert actual.shape == exact[key].shape, f"{name} {key}: {actual.shape}, not {exact[key].shape}"
            error = float(np.abs(actual - exact[key]).max()) / largest[key]
            errors[name][key] = error if np.isfinite(error) else 1e300
    print(json.dumps(errors))


main()
