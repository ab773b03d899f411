/**
 * What WebGPU tells late: refusals, which come to error scopes, and the loss of the device, which comes at any time. Both become typed errors
 * here, where somebody waits for the work that they concern.
 */
import { BackendError, VerydeepError } from "../../core/errors.js";

const FILTERS = ["validation", "out-of-memory", "internal"] as const;

/** What to do about tensors that are half written or gone. */
export const GO_ON = "create a new engine and go on from the last checkpoint, on this backend or on wasm.";

export class DeviceWatch {
  private loss: string | null = null;

  constructor(private readonly device: GPUDevice) {
    device.lost.then(({ message, reason }) => {
      this.loss = `${reason}: ${message || "no reason was given"}`;
    });
  }

  get isLost(): boolean {
    return this.loss !== null;
  }

  /** @throws BackendError where the device is lost; `what` says what was to be done. */
  checkAlive(what: string): void {
    if (this.loss === null) return;
    throw new BackendError(`webgpu: the GPU was lost (${what}; ${this.loss}). Its tensors are lost with it: ${GO_ON}`);
  }

  /**
   * Does `work` and waits for what WebGPU has to say of it. Typed errors of the work pass as they are; `explain` makes one of anything else.
   * @throws BackendError where the device is lost meanwhile.
   */
  async during<T>(
    what: string,
    work: () => Promise<T>,
    explain: (reason: string) => Promise<BackendError>,
  ): Promise<T> {
    this.checkAlive(what);
    for (const filter of FILTERS) this.device.pushErrorScope(filter);
    const end: { value: T } | { error: unknown } | null = await Promise.race([
      work().then((value) => ({ value })),
      this.device.lost.then(() => null),
    ]).catch((error: unknown) => ({ error }));
    const scopes = FILTERS.map(() => this.device.popErrorScope().catch(() => null));
    if (end === null || this.isLost) this.checkAlive(what);
    const refusal = (await Promise.all(scopes)).find((error) => error !== null);
    if (end !== null && "error" in end) {
      if (end.error instanceof VerydeepError) throw end.error;
      throw await explain(messageOf(refusal ?? end.error));
    }
    if (refusal) throw await explain(messageOf(refusal));
    if (end === null) throw await explain("the device is lost");
    return end.value;
  }
}

/** What WebGPU's errors say, whatever class they are of. */
export function messageOf(error: unknown): string {
  return typeof error === "object" && error !== null && "message" in error ? String(error.message) : String(error);
}
