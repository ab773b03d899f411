/**
 * Values that kernels make of a weight alone (Winograd's transformed filters), kept beside the weight for later calls.
 * Each is marked with the version of the weight that it was made of, once the program that makes it has run; a program that
 * writes the weight begins by dropping them. When memory is full they go before anything fails (runner.ts). plan.ts decides
 * which calls use them.
 */
import type { Backend, Derived, PlannedDerived } from "../backend/backend.js";
import type { DerivedValue, KeptMemory, Storage } from "./storage.js";

export class DerivedCache {
  /** Whatever has derived values: not the storages, which must stay collectable. */
  private readonly owners = new Set<KeptMemory>();

  constructor(private readonly backend: Backend) {}

  /** Gives back what was derived of one weight. */
  drop(memory: KeptMemory): void {
    for (const { buffer } of memory.derived.values()) this.backend.release(buffer);
    memory.derived.clear();
    this.owners.delete(memory);
  }

  /** Gives back everything. */
  dropAll(): void {
    for (const memory of this.owners) this.drop(memory);
  }

  /** The derived values of one plan. */
  begin(): DerivedUse {
    return new DerivedUse(this.backend, this.owners);
  }
}

/** What one plan takes from the cache and adds to it. */
export class DerivedUse {
  private readonly made: { readonly value: DerivedValue; readonly version: number }[] = [];
  private readonly allocated: { readonly memory: KeptMemory; readonly key: string; readonly value: DerivedValue }[] =
    [];

  constructor(
    private readonly backend: Backend,
    private readonly owners: Set<KeptMemory>,
  ) {}

  /** The value that a call derives of this version of a weight, to be made by the first call of the plan that needs it. */
  take({ memory, label }: Storage, version: number, { key, sizeBytes }: Derived): PlannedDerived {
    const value = memory.derived.get(key) ?? this.allocate(memory, key, sizeBytes, label);
    const room = { buffer: value.buffer };
    if (value.version === version || this.made.some((made) => made.value === value))
      return { room, kept: true, fresh: true };
    value.version = null;
    this.made.push({ value, version });
    return { room, kept: true, fresh: false };
  }

  private allocate(memory: KeptMemory, key: string, sizeBytes: number, label: string): DerivedValue {
    const value = { buffer: this.backend.allocate(sizeBytes, `${label}, transformed,`), version: null };
    memory.derived.set(key, value);
    this.owners.add(memory);
    this.allocated.push({ memory, key, value });
    return value;
  }

  /** The plan has run. */
  settle(): void {
    for (const { value, version } of this.made) value.version = version;
  }

  /** The plan will not run. */
  giveBack(): void {
    for (const { memory, key, value } of this.allocated) {
      this.backend.release(value.buffer);
      memory.derived.delete(key);
      if (memory.derived.size === 0) this.owners.delete(memory);
    }
  }
}
