"""PyTorch, eager, as Python runs it. Speaks the lines of JSON that serve.js describes; numbers by test/fixtures/fixture_tools.py."""

import json
import platform
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "test" / "fixtures"))
from fixture_tools import formula_fill, he_scale  # noqa: E402

BIAS_SCALE, INPUT_SCALE = 0.1, 4  # net.js
MOST_NUMBERS, SAMPLE_STEP = 10_000, 191  # serve.js


def tensor(shape, t, scale, device):
    return torch.from_numpy(formula_fill(int(np.prod(shape)), t, scale).reshape(shape)).to(device)


def load_layers(layers, device):
    """Pairs of a layer and its parameters, [weight, bias] or none."""
    loaded = []
    for layer in layers:
        params = []
        if "t" in layer:
            kernel = (3, 3) if layer["kind"] == "conv" else ()
            shape = (layer["outputs"], layer["inputs"], *kernel)
            weight = tensor(shape, layer["t"], he_scale(int(np.prod(shape[1:]))), device)
            params = [weight, tensor((layer["outputs"],), layer["t"] + 1, BIAS_SCALE, device)]
        loaded.append((layer, params))
    return loaded


def forward(net, h):
    for layer, params in net:
        kind = layer["kind"]
        if kind == "pool":
            h = F.max_pool2d(h, 2)
        elif kind == "flatten":
            h = h.flatten(1)
        else:
            h = F.conv2d(h, *params, padding=1) if kind == "conv" else F.linear(h, *params)
            if layer["relu"]:
                h = F.relu(h)
    return h


def prepare(job, threads, device):
    """A function that does one forward pass, or one training step, and returns a flat array of numbers."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    # Float32 throughout: no TF32. cuDNN picks its fastest algorithms in the untimed runs.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    net = load_layers(job["layers"], device)
    x = tensor(tuple(job["inputShape"]), job["inputT"], INPUT_SCALE, device)
    if job["kind"] == "forward":

        def run():
            with torch.no_grad():
                return forward(net, x).cpu().numpy().ravel()

        return run

    params = [p.requires_grad_() for _, pair in net for p in pair]
    options = job["optimiser"]
    optimizer = torch.optim.SGD(params, options["lr"], options["momentum"], weight_decay=options["weightDecay"])
    labels = torch.tensor([(7 * i) % job["classes"] for i in range(job["batch"])], device=device)

    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(forward(net, x), labels)
        loss.backward()
        optimizer.step()
        return np.array([float(loss)])

    return step


def send(message):
    print(json.dumps(message), flush=True)


def main():
    run = None
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        if "job" in request:
            device = request["options"].get("device", "cpu")
            if device == "cuda" and not torch.cuda.is_available():
                send({"cannot": "PyTorch finds no CUDA here"})
                continue
            run = prepare(request["job"], request["threads"], device)
            runtime = f"Python {platform.python_version()}"
            detail = "native, eager, oneDNN" if torch.backends.mkldnn.is_available() else "native, eager"
            if device == "cuda":
                detail = f"eager, cuDNN, TF32 off, {torch.cuda.get_device_name()}"
            send({"version": torch.__version__, "runtime": runtime, "threads": torch.get_num_threads(), "detail": detail})
            continue
        begin = time.perf_counter()
        result = run()
        answer = {"timeMs": 1000 * (time.perf_counter() - begin)}
        # Kilobytes, but on macOS bytes.
        unit = 2**20 if sys.platform == "darwin" else 2**10
        answer["peakRssMb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        if request.get("wantResult"):
            values = result if result.size <= MOST_NUMBERS else result[::SAMPLE_STEP]
            answer["result"] = values.astype(np.float64).tolist()
        send(answer)


try:
    main()
except Exception as error:
    send({"error": f"{type(error).__name__}: {error}"})
    raise
