/** Which backend createEngine takes by itself: the rules, hosts with all kinds of adapters, what overrides the choice. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { chooseBackend, describeGpu } from "#src/backend/webgpu/automatic.js";
import { breakEvenMacs, chooseByAdapter, chooseBySpeed, chooseByWork } from "#src/backend/webgpu/choice.js";
import type { GpuHost } from "#src/backend/webgpu/host.js";
import { BackendError, UsageError } from "#src/core/errors.js";
import { createEngineOn, type Host } from "#src/create-engine.js";
import { NODE } from "#src/node-host.js";
import { relu } from "#src/ops/index.js";
import { rejects } from "../engine/nets.js";
import { driverFile } from "../helpers/vulkan-drivers.js";

const FAST = { roundTripMs: 0.2, gflops: 10_000 };
const SLOW = { roundTripMs: 5, gflops: 300 };
const ADAPTER = {
  name: "a GPU",
  software: false,
  maxBindingBytes: 2 ** 31,
  f16: true,
  subgroups: true,
  timestamps: true,
};

// ---- rules ---------------------------------------------------------------------------------------------------------

test("work that wasm is done with before any GPU answers", () => {
  assert.is(chooseByWork({ macs: 1e6, threads: 2 })?.backend, "wasm");
  assert.is(chooseByWork({ macs: 1e9, threads: 2 }), null);
  assert.is(chooseByWork({ macs: Number.POSITIVE_INFINITY, threads: 64 }), null);
});

test("software adapters are never chosen", () => {
  assert.is(chooseByAdapter({ ...ADAPTER, software: true })?.backend, "wasm");
  assert.is(chooseByAdapter(ADAPTER), null);
});

test("by speed: large nets go to a fast GPU, small ones and slow GPUs do not; the border is breakEvenMacs", () => {
  assert.is(chooseBySpeed({ macs: 15e9, threads: 4 }, FAST).backend, "webgpu");
  assert.is(chooseBySpeed({ macs: 1e7, threads: 4 }, FAST).backend, "wasm");
  assert.is(chooseBySpeed({ macs: 15e9, threads: 16 }, SLOW).backend, "wasm");
  assert.is(breakEvenMacs(16, SLOW), Number.POSITIVE_INFINITY);
  for (const threads of [1, 2, 8]) {
    const border = breakEvenMacs(threads, FAST);
    assert.is(chooseBySpeed({ macs: border * 1.01, threads }, FAST).backend, "webgpu");
    assert.is(chooseBySpeed({ macs: border * 0.99, threads }, FAST).backend, "wasm");
  }
});

test("by speed: work of unknown size is large", () => {
  assert.is(chooseBySpeed({ macs: Number.POSITIVE_INFINITY, threads: 2 }, FAST).backend, "webgpu");
});

// ---- hosts ---------------------------------------------------------------------------------------------------------

const LARGE = { macs: Number.POSITIVE_INFINITY, threads: 2 };

function hostOf(requestAdapter: () => Promise<unknown>): GpuHost {
  return {
    findGpu: async () => ({ gpu: { requestAdapter } }),
    recall: async () => null,
    remember: async () => {},
  };
}

/** What WebGPU's adapters have, as far as it is looked at. */
const FAKE = {
  info: { vendor: "acme", architecture: "one", device: "", description: "" },
  features: new Set<string>(),
  limits: { maxStorageBufferBindingSize: 2 ** 27 },
};

test("no WebGPU, no adapter, an adapter that throws: wasm, with the reason", async () => {
  const none: GpuHost = { ...hostOf(async () => null), findGpu: async () => ({ reason: "there is none" }) };
  const found = await chooseBackend(none, LARGE, {});
  assert.equal(found, { backend: "wasm", reason: "there is none", opened: null });
  for (const requestAdapter of [async () => null, () => Promise.reject(new Error("driver"))]) {
    const { backend, reason } = await chooseBackend(hostOf(requestAdapter), LARGE, {});
    assert.equal([backend, reason], ["wasm", "WebGPU finds no adapter: no GPU, or no driver for it"]);
  }
});

test("a software adapter alone: wasm, and its device is not opened", async () => {
  let opened = 0;
  const software = {
    ...FAKE,
    info: { ...FAKE.info, description: "SwiftShader driver 5.0.0" },
    requestDevice: async () => {
      opened++;
      throw new Error("not to be called");
    },
  };
  const host = hostOf(async () => software);
  assert.is((await chooseBackend(host, LARGE, {})).backend, "wasm");
  const { available, adapter, backend, reason } = await describeGpu(host, 2);
  assert.equal([available, adapter?.software, backend], [true, true, "wasm"]);
  assert.is(reason, "it computes on the processor, where wasm is faster");
  assert.is(opened, 0);
});

test("an adapter that fails at requestDevice: wasm; by name an error", async () => {
  const broken = { ...FAKE, requestDevice: () => Promise.reject(new Error("limits")) };
  const host = hostOf(async () => broken);
  const text = "webgpu: the GPU gives no device (acme one: limits). Use the wasm backend.";
  const { backend, reason } = await chooseBackend(host, LARGE, {});
  assert.equal([backend, reason], ["wasm", text]);
  await rejects(() => createEngineOn({ ...NODE, ...host }, { backend: "webgpu" }), BackendError, text);
});

test("no adapter, by name: an error that says what to do", async () => {
  const host: Host = { ...NODE, ...hostOf(async () => null) };
  await rejects(
    () => createEngineOn(host, { backend: "webgpu" }),
    BackendError,
    "webgpu: there is no GPU (WebGPU finds no adapter: no GPU, or no driver for it). Use the wasm backend.",
  );
});

// ---- what overrides ----------------------------------------------------------------------------------------------------

/** A host where nobody is to look for a GPU. */
function blindHost(preferred?: string): Host {
  return {
    ...NODE,
    preferredBackend: () => preferred,
    findGpu: () => Promise.reject(new Error("nobody asked for a GPU")),
  };
}

for (const options of [{ deterministic: true }, { threads: 1 }, { tier: "plain" }, { backend: "wasm" }] as const) {
  test(`createEngine(${JSON.stringify(options)}): wasm, without a look for a GPU, whatever VERYDEEP_BACKEND says`, async () => {
    const engine = await createEngineOn(blindHost("webgpu"), options);
    assert.is(engine.backend.name, "wasm");
    await engine.close();
  });
}

test("VERYDEEP_BACKEND: taken where the caller names none, refused where there is no such backend", async () => {
  const engine = await createEngineOn(blindHost("reference"), {});
  assert.is(engine.backend.name, "reference");
  await rejects(
    () => createEngineOn(blindHost("gpu"), {}),
    UsageError,
    "createEngine: there is no such backend (VERYDEEP_BACKEND gpu). Use auto, wasm, webgpu or reference.",
  );
});

test("small work is wasm's, without a look for a GPU; bad work is refused", async () => {
  const engine = await createEngineOn(blindHost(), { macs: 1000 });
  assert.is(engine.backend.name, "wasm");
  await engine.close();
  await rejects(
    () => createEngineOn(blindHost(), { macs: Number.NaN }),
    UsageError,
    "createEngine: macs must be a number from 0 (macs NaN). Leave it out.",
  );
});

// ---- with an adapter ------------------------------------------------------------------------------------------------------

/** The machine's adapter, said to be a real one. */
const masked: GpuHost = {
  ...NODE,
  recall: async () => null,
  remember: async () => {},
  async findGpu() {
    const found = await NODE.findGpu();
    if ("reason" in found) return found;
    const real = found.gpu as GPU;
    const requestAdapter = async (): Promise<object | null> => {
      const adapter = await real.requestAdapter();
      if (adapter === null) return null;
      const { features, limits } = adapter;
      const requestDevice = (descriptor: GPUDeviceDescriptor): Promise<GPUDevice> => adapter.requestDevice(descriptor);
      return { info: FAKE.info, features, limits, requestDevice };
    };
    return { gpu: { requestAdapter } };
  },
};

if (driverFile("swiftshader") === null) {
  test("with an adapter", () => console.log("skipped the choice with an adapter: SwiftShader is not installed"));
} else {
  test("a real adapter: webgpu by itself, measured and remembered once", async () => {
    const notes = new Map<string, string>();
    let measured = 0;
    const host: Host = {
      ...NODE,
      ...masked,
      preferredBackend: () => undefined,
      recall: async (name) => notes.get(name) ?? null,
      remember: async (name, text) => {
        if (name.includes("speed")) measured++;
        notes.set(name, text);
      },
    };
    const engine = await createEngineOn(host, {});
    assert.is(engine.backend.name, "webgpu");
    assert.equal([...(await relu(engine.tensor([1, -2], [2])).data())], [1, 0]);
    await engine.close();
    const facts = await describeGpu(host, 2);
    assert.equal([facts.available, facts.backend, facts.adapter?.name], [true, "webgpu", "acme one"]);
    assert.ok(facts.speed && facts.speed.gflops > 0 && facts.speed.roundTripMs > 0);
    await describeGpu(host, 2);
    assert.is(measured, 1);
    // This one is slow in truth: what it was measured to be decides where the work is known.
    const known = await createEngineOn(host, { macs: 1e9 });
    assert.is(known.backend.name, "wasm");
    await known.close();
  });
}

test.run();
