"""Where float32 parts from float64 by nature, in the training runs of ../fixtures/training-losses.json.

PyTorch's float32 repeats the first steps from weights of which each is changed by about half a unit in the last place
(times 1 + 6e-8 * normal), and prints each loss's relative distance from PyTorch's float64 loss. Result of 12 seeds
(PyTorch 1.13.0a0, 2 threads):

    lr 0.01   largest at steps 0-3: 4.8e-7; at step 4 three seeds are at 1.1e-4, nine below 2.5e-7; at step 6: 9e-6 to 1.8e-4
    lr 2e-4   largest at steps 0-6: 5.9e-6; at step 7: 2.0e-6 to 1.3e-5; at step 8 seven seeds are near 4e-5, the others at 3.4e-6 to 1.3e-5

So which step sees the first flip of a ReLU or a pooling window is a matter of luck.

    nice -n 10 python3 test/system/perturbed-training.py [data_batch_1.bin]      # 3 minutes on 2 idle cores
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
sys.path.insert(0, str(FIXTURES))
from fixture_tools import formula_fill, he_scale  # noqa: E402

CONFIG_A = [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"]
SEEDS, STEPS, BATCH, CLASSES = 12, 10, 32, 10
CHANGE = 6e-8


def load(path):
    records = np.fromfile(path, np.uint8, STEPS * BATCH * 3073).reshape(-1, 3073)
    x = ((records[:, 1:].astype(np.float64) / 255 - 0.5) / 0.25).astype(np.float32)
    return torch.from_numpy(x.reshape(-1, 3, 32, 32)), torch.from_numpy(records[:, 0].astype(np.int64))


def initial_weights():
    shapes, in_c = [], 3
    for item in CONFIG_A:
        if item != "M":
            shapes += [(item, in_c, 3, 3), (item,)]
            in_c = item
    shapes += [(CLASSES, in_c), (CLASSES,)]
    for t, shape in enumerate(shapes):
        if len(shape) == 1:
            yield np.zeros(shape)
        else:
            scale = he_scale(int(np.prod(shape[1:])))
            yield formula_fill(int(np.prod(shape)), t, scale).reshape(shape).astype(np.float64)


def losses(x, labels, lr, seed):
    random = np.random.default_rng(seed)
    changed = (w * (1 + CHANGE * random.standard_normal(w.shape)) for w in initial_weights())
    params = [torch.from_numpy(w).float().requires_grad_() for w in changed]
    optimizer = torch.optim.SGD(params, lr=lr, momentum=0.9, weight_decay=5e-4)
    for step in range(STEPS):
        rows = slice(step * BATCH, (step + 1) * BATCH)
        h, t = x[rows], 0
        for item in CONFIG_A:
            if item == "M":
                h = F.max_pool2d(h, 2)
            else:
                h, t = F.relu(F.conv2d(h, params[t], params[t + 1], padding=1)), t + 2
        loss = F.cross_entropy(F.linear(h.flatten(1), params[t], params[t + 1]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield float(loss)


def main():
    torch.set_num_threads(2)
    runs = json.loads((FIXTURES / "training-losses.json").read_text())["runs"]
    default = FIXTURES / "../../../shared/data/cifar-10-batches-bin/data_batch_1.bin"
    x, labels = load(sys.argv[1] if len(sys.argv) > 1 else default)
    for run in runs:
        rows = []
        for seed in range(SEEDS):
            rows.append([abs(a / b - 1) for a, b in zip(losses(x, labels, run["lr"], seed), run["losses"]["float64"])])
            print(f"lr {run['lr']} seed {seed:2d}", *(f"{d:.1e}" for d in rows[-1]), flush=True)
        print(f"lr {run['lr']} largest", *(f"{max(column):.1e}" for column in zip(*rows)), flush=True)


main()
