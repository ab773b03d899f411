/** An engine on the reference backend that shows how its programs were planned. */
import type { LoadedPlan, Plan } from "#src/backend/backend.js";
import { ReferenceBackend } from "#src/backend/reference/reference-backend.js";
import { Engine } from "#src/core/engine.js";

class PlanningBackend extends ReferenceBackend {
  readonly plans: Plan[] = [];

  override async load(plan: Plan): Promise<LoadedPlan> {
    this.plans.push(plan);
    return super.load(plan);
  }
}

/** An engine and the plans of the programs that it ran, oldest first. */
export function planningEngine(): { readonly engine: Engine; readonly plans: readonly Plan[] } {
  const backend = new PlanningBackend();
  const engine = new Engine(backend, async () => {}, { keepTransformedWeights: true });
  return { engine, plans: backend.plans };
}

/** `conv2d + relu (features.0)`, call by call. */
export function labelsOf(plan: Plan | undefined): string[] {
  return plan?.calls.map(({ label }) => label) ?? [];
}
