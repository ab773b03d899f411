"""PyTorch's side of cifar-pytorch.ts: A of VGG at 32x32, trained on the batches that it is sent.

Reads requests from standard input, each a line of JSON, followed where it says so by raw bytes, and answers each with a line of JSON:

    {"start": {"file", "shapes", "threads", "lr", "momentum", "weightDecay"}}   initial parameters, float32, one after the other
    {"step": {"lr", "shape"}}, then x (float32) and labels (int32)              -> {"loss", "timeMs"}
    {"evaluate": {"shape"}}, then x and labels                                  -> {"correct"}
    {"save": file}, {"load": file}                                              parameters and momentum
"""

import json
import platform
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

CONFIG_A = [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"]


class Net:
    def __init__(self, file, shapes, threads, lr, momentum, weightDecay):
        torch.set_num_threads(threads)
        values = np.fromfile(file, np.float32)
        self.params, begin = [], 0
        for shape in shapes:
            size = int(np.prod(shape))
            self.params.append(torch.from_numpy(values[begin : begin + size].reshape(shape).copy()).requires_grad_())
            begin += size
        assert begin == len(values), f"{len(values)} numbers for shapes of {begin}"
        weights = [p for p in self.params if p.dim() > 1]
        biases = [p for p in self.params if p.dim() == 1]
        groups = [{"params": weights, "weight_decay": weightDecay}, {"params": biases, "weight_decay": 0.0}]
        self.optimizer = torch.optim.SGD(groups, lr=lr, momentum=momentum)

    def forward(self, h):
        t = 0
        for item in CONFIG_A:
            if item == "M":
                h = F.max_pool2d(h, 2)
            else:
                h, t = F.relu(F.conv2d(h, self.params[t], self.params[t + 1], padding=1)), t + 2
        return F.linear(h.flatten(1), self.params[t], self.params[t + 1])

    def step(self, x, labels, lr):
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.forward(x), labels)
        loss.backward()
        self.optimizer.step()
        return float(loss)


def read_batch(shape):
    x = np.frombuffer(sys.stdin.buffer.read(4 * int(np.prod(shape))), np.float32).reshape(shape)
    labels = np.frombuffer(sys.stdin.buffer.read(4 * shape[0]), np.int32)
    return torch.from_numpy(x.copy()), torch.from_numpy(labels.astype(np.int64))


def answer(net, request):
    if "step" in request:
        x, labels = read_batch(request["step"]["shape"])
        begin = time.perf_counter()
        loss = net.step(x, labels, request["step"]["lr"])
        return {"loss": loss, "timeMs": 1000 * (time.perf_counter() - begin)}
    if "evaluate" in request:
        x, labels = read_batch(request["evaluate"]["shape"])
        with torch.no_grad():
            return {"correct": int((net.forward(x).argmax(1) == labels).sum())}
    if "save" in request:
        torch.save({"params": net.params, "optimizer": net.optimizer.state_dict()}, request["save"])
        return {}
    state = torch.load(request["load"])
    with torch.no_grad():
        for param, saved in zip(net.params, state["params"]):
            param.copy_(saved)
    net.optimizer.load_state_dict(state["optimizer"])
    return {}


def main():
    net = None
    for line in iter(sys.stdin.buffer.readline, b""):
        request = json.loads(line)
        if "start" in request:
            net = Net(**request["start"])
            result = {"version": torch.__version__, "runtime": f"Python {platform.python_version()}"}
        else:
            result = answer(net, request)
        print(json.dumps(result), flush=True)


main()
