/** An engine on a device that the test can reach: to destroy it, or to make it refuse what it is asked for. */
import type { Engine } from "#src/core/engine.js";
import { createEngineOn, type EngineOptions } from "#src/create-engine.js";
import { NODE } from "#src/node-host.js";
import "../helpers/vulkan-drivers.js";

export interface Tapped {
  readonly engine: Engine;
  readonly device: GPUDevice;
  /** What the driver says of itself. */
  readonly adapterName: string;
}

/** Null where there is no adapter. */
export async function tappedEngine(options: EngineOptions = {}): Promise<Tapped | null> {
  const found = await NODE.findGpu();
  if ("reason" in found) return null;
  const gpu = found.gpu as GPU;
  const adapter = await gpu.requestAdapter();
  if (adapter === null) return null;
  const devices: GPUDevice[] = [];
  const request = adapter.requestDevice.bind(adapter);
  adapter.requestDevice = async (descriptor) => {
    const device = await request(descriptor);
    devices.push(device);
    return device;
  };
  const host = { ...NODE, findGpu: async () => ({ gpu: { requestAdapter: async () => adapter } }) };
  const engine = await createEngineOn(host, { ...options, backend: "webgpu" });
  return { engine, device: devices[0], adapterName: adapter.info.description };
}

/** From now on there is no room for buffers of more than `mostBytes`. */
export function fillMemory(device: GPUDevice, mostBytes: number): void {
  const create = device.createBuffer.bind(device);
  const pop = device.popErrorScope.bind(device);
  let refused = false;
  device.createBuffer = (descriptor) => {
    refused ||= descriptor.size > mostBytes;
    return create({ ...descriptor, size: Math.min(descriptor.size, mostBytes) });
  };
  device.popErrorScope = async () => {
    const error = refused ? Object.assign(new Error("no room"), { __brand: "GPUError" as const }) : null;
    refused = false;
    return (await pop()) ?? error;
  };
}

/** From now on dispatches of this kernel ask for more workgroups than there may be. */
export function overflowDispatches(device: GPUDevice, kernel: string): void {
  const create = device.createCommandEncoder.bind(device);
  device.createCommandEncoder = (descriptor) => {
    const encoder = create(descriptor);
    const begin = encoder.beginComputePass.bind(encoder);
    encoder.beginComputePass = (passDescriptor) => {
      const pass = begin(passDescriptor);
      const set = pass.setPipeline.bind(pass);
      const dispatch = pass.dispatchWorkgroups.bind(pass);
      let label = "";
      pass.setPipeline = (pipeline) => {
        ({ label } = pipeline);
        set(pipeline);
      };
      pass.dispatchWorkgroups = (x, y, z) =>
        dispatch(label === kernel ? device.limits.maxComputeWorkgroupsPerDimension + 1 : x, y, z);
      return pass;
    };
    return encoder;
  };
}

/** From now on shaders of this kernel are no WGSL. */
export function spoilShaders(device: GPUDevice, kernel: string): void {
  const create = device.createShaderModule.bind(device);
  device.createShaderModule = (descriptor) =>
    create(descriptor.label === kernel ? { ...descriptor, code: `${descriptor.code} nonsense` } : descriptor);
}
