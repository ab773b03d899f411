/**
 * Reverse-mode differentiation: a tape that knows no operation.
 *
 * An operation's result points to a node: the operation, its shape record, its inputs and what its backward pass needs.
 * backward() walks the nodes from the last to the first. Parameters' gradients accumulate (kernels add in place);
 * an activation's gradients are summed here over all its consumers.
 */
import type { Engine } from "./engine.js";
import { ShapeError, UsageError } from "./errors.js";
import { callLabel } from "./program.js";
import { formatShape, type Shape } from "./shape.js";
import { Parameter, Tensor } from "./tensor.js";

/** Inputs of an operation by role; null where an optional one is missing. */
export type OpInputs = Record<string, Tensor | null>;

/** Where backward passes put gradients. */
export interface Gradients<Inputs> {
  /** Is this input's gradient asked for? */
  needs(role: keyof Inputs): boolean;
  /** The tensor to write this input's gradient to, and whether to add to what it holds (only for roles in `accumulates`). */
  into(role: keyof Inputs): { readonly target: Tensor; readonly accumulate: boolean };
  /** Hands over a tensor that already is this input's gradient (addition, reshape). */
  pass(role: keyof Inputs, gradient: Tensor): void;
}

/** An operation: one file in src/ops. `Saved` is what its backward pass needs. */
export interface Op<Inputs extends OpInputs, Options, S, Saved> {
  readonly name: string;
  /** All checks; the shape record that everything below works with. Throws ShapeError. */
  infer(inputs: Inputs, options: Options): S;
  outputShape(shape: S): Shape;
  /** For operations that only look at an input's storage in another way: the result, instead of a new tensor. */
  view?(inputs: Inputs, shape: S): Tensor;
  /** Records the kernels that fill y; returns what backward needs. `train` is false when no gradient will be asked for. */
  forward(engine: Engine, shape: S, inputs: Inputs, y: Tensor, train: boolean): Saved;
  /** Records the kernels of the gradients that are needed. */
  backward(engine: Engine, shape: S, dy: Tensor, saved: Saved, gradients: Gradients<Inputs>): void;
  /** Roles whose gradient kernels can add to their output: parameters' gradients go straight to their place. */
  readonly accumulates: readonly (keyof Inputs & string)[];
  /** Roles of which `infer` checks the element type; all others are float32. */
  readonly typed?: readonly (keyof Inputs & string)[];
}

/** One step of the tape. */
export interface TapeNode {
  /** Creation order: consumers have larger numbers than producers. */
  readonly order: number;
  readonly op: string;
  readonly module: string;
  readonly inputs: OpInputs;
  /** Tensors that must be there for the backward pass. */
  readonly saved: readonly Tensor[];
  readonly versions: ReadonlyMap<Parameter, number>;
  readonly accumulates: readonly string[];
  run(dy: Tensor, gradients: Gradients<OpInputs>): void;
  used: boolean;
}

let nodeCount = 0;

/** Checks, records the forward pass, and puts a node on the tape if a gradient may be asked for. */
export function apply<Inputs extends OpInputs, Options, S, Saved>(
  op: Op<Inputs, Options, S, Saved>,
  inputs: Inputs,
  options: Options,
): Tensor {
  const tensors = Object.values(inputs).filter((input): input is Tensor => input !== null);
  const engine = tensors[0].engine;
  if (tensors.some((tensor) => tensor.engine !== engine)) {
    throw new UsageError(`${op.name}: the inputs belong to different engines. Create all of them with one engine.`);
  }
  for (const [role, tensor] of Object.entries(inputs)) {
    if (tensor && tensor.dtype !== "float32" && role !== "labels" && !op.typed?.includes(role)) {
      throw new ShapeError(
        `${op.name}: ${role} must be a float32 tensor (${role} ${tensor.dtype} ${formatShape(tensor.shape)}). Give Float32Array values.`,
      );
    }
  }
  const shape = op.infer(inputs, options);
  const train = engine.gradEnabled && tensors.some((tensor) => tensor.requiresGrad);
  const y = op.view ? op.view(inputs, shape) : engine.emptyTensor(op.outputShape(shape));
  const saved = engine.withOp(op.name, "forward", () => op.forward(engine, shape, inputs, y, train));
  if (!train) return y;
  const module = engine.modulePath;
  const versions = new Map<Parameter, number>();
  for (const tensor of tensors) if (tensor instanceof Parameter) versions.set(tensor, tensor.storage.version);
  y.requiresGrad = true;
  y.node = {
    order: nodeCount++,
    op: op.name,
    module,
    inputs,
    saved: collectTensors(saved),
    versions,
    accumulates: op.accumulates,
    used: false,
    run: (dy, gradients) =>
      engine.withModule(module, () =>
        engine.withOp(op.name, "backward", () => op.backward(engine, shape, dy, saved, gradients)),
      ),
  };
  return y;
}

/** The tensors among the fields of what an operation saved. */
function collectTensors(saved: unknown): Tensor[] {
  if (saved === null || typeof saved !== "object") return [];
  return Object.values(saved).filter((value): value is Tensor => value instanceof Tensor);
}

/** All nodes that lead to `root`, newest first. */
export function reachableNodes(root: TapeNode): TapeNode[] {
  const seen = new Set<TapeNode>([root]);
  const stack = [root];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    for (const input of Object.values(node.inputs)) {
      if (input?.node && !seen.has(input.node)) {
        seen.add(input.node);
        stack.push(input.node);
      }
    }
  }
  return [...seen].sort((a, b) => b.order - a.order);
}

/** Records the backward pass of a scalar. */
export function backward(loss: Tensor): void {
  const { engine } = loss;
  if (loss.size !== 1) {
    throw new UsageError(
      `backward: the tensor is not a scalar (loss ${formatShape(loss.shape)}). Reduce it first, for example with sum().`,
    );
  }
  const root = loss.node;
  if (root === null) {
    throw new UsageError(
      "backward: nothing that leads to this tensor needs a gradient. Compute it from parameters, outside noGrad().",
    );
  }
  const nodes = reachableNodes(root);
  for (const node of nodes) checkNode(node);

  const seed = engine.emptyTensor(loss.shape);
  engine.withOp("backward", "backward", () => engine.record("fill", { length: 1, factor: 1 }, { y: seed }));
  const gradientOf = new Map<TapeNode, Tensor>([[root, seed]]);
  for (const node of nodes) {
    const dy = gradientOf.get(node);
    if (dy === undefined) continue;
    gradientOf.delete(node);
    const gradients = new NodeGradients(engine, node, gradientOf);
    node.run(dy, gradients);
    engine.withModule(node.module, () => engine.withOp(node.op, "backward", () => gradients.finish()));
    node.used = true;
    engine.onUndo(() => {
      node.used = false;
    });
  }
  const program = seed.storage.program?.root();
  if (program) engine.consumeTape(root, program);
}

function checkNode(node: TapeNode): void {
  if (node.used) {
    throw new UsageError(
      `backward: the gradient of ${callLabel(node)} was computed already. Compute the loss again before the next backward().`,
    );
  }
  for (const [parameter, version] of node.versions) {
    if (parameter.storage.version !== version) {
      throw new UsageError(
        `backward: a parameter changed since the forward pass (${parameter.name} ${formatShape(parameter.shape)}). ` +
          "Call backward() before the optimiser's step() or loadStateDict().",
      );
    }
  }
}

/** The gradients of one node's inputs: parameters accumulate, activations are summed over their consumers. */
class NodeGradients implements Gradients<OpInputs> {
  private readonly written: [role: string, target: Tensor][] = [];

  constructor(
    private readonly engine: Engine,
    private readonly node: TapeNode,
    private readonly gradientOf: Map<TapeNode, Tensor>,
  ) {}

  needs(role: string): boolean {
    return this.node.inputs[role]?.requiresGrad ?? false;
  }

  into(role: string): { target: Tensor; accumulate: boolean } {
    const input = this.input(role);
    if (input instanceof Parameter && this.node.accumulates.includes(role)) {
      const accumulate = input.grad !== null;
      input.setHasGrad(true);
      return { target: input.gradTarget(), accumulate };
    }
    const target = this.engine.emptyTensor(input.shape);
    this.written.push([role, target]);
    return { target, accumulate: false };
  }

  /** Adds what the operation wrote to what other consumers gave. */
  finish(): void {
    for (const [role, target] of this.written) this.pass(role, target);
  }

  pass(role: string, gradient: Tensor): void {
    const input = this.input(role);
    const { engine } = this;
    if (input instanceof Parameter) {
      const target = input.gradTarget();
      const shape = { length: input.size };
      if (input.grad) engine.record("add", shape, { a: target, b: gradient, y: target });
      else engine.record("copy", { ...shape, xBegin: 0, yBegin: 0 }, { x: gradient, y: target });
      input.setHasGrad(true);
      return;
    }
    if (input.node === null) return;
    const other = this.gradientOf.get(input.node);
    if (other === undefined) {
      this.gradientOf.set(input.node, gradient.viewAs(input.shape));
      return;
    }
    const sum = engine.emptyTensor(input.shape);
    engine.record("add", { length: input.size }, { a: other, b: gradient, y: sum });
    this.gradientOf.set(input.node, sum);
  }

  private input(role: string): Tensor {
    const input = this.node.inputs[role];
    if (!input)
      throw new UsageError(`${this.node.op}: no input of this name (${role}). This is an error in the operation.`);
    return input;
  }
}
