// A net of one's own: blocks with two branches side by side, as in GoogLeNet, whose channels are joined.
// Whatever extends Module can be trained, saved and stepped through like the nets of the library.
//
//   node examples/custom-net.js [PICTURES] [EPOCHS]
import {
  Conv2d,
  concat,
  createEngine,
  Flatten,
  GlobalAvgPool2d,
  Linear,
  MaxPool2d,
  Module,
  oneCycle,
  ReLU,
  relu,
  Sequential,
  shapes,
  train,
} from "verydeep";

/** Two views of the same input: through a 1x1 and through a 3x3 convolution. [B,C,H,W] -> [B, 2 * channels, H, W] */
class Branches extends Module {
  constructor(engine, inChannels, channels) {
    super();
    this.point = new Conv2d(engine, { inChannels, outChannels: channels, kernelSize: 1 });
    this.area = new Conv2d(engine, { inChannels, outChannels: channels, kernelSize: 3, padding: 1 });
  }

  // Modules inside: their parameters become `point.weight`, `area.bias`, …
  children() {
    return new Map([
      ["point", this.point],
      ["area", this.area],
    ]);
  }

  // An input that is used twice is no matter: its gradients are summed.
  forward(x) {
    return relu(concat([this.point.forward(x), this.area.forward(x)]));
  }
}

const count = Number(process.argv[2] ?? 6000);
const epochs = Number(process.argv[3] ?? 8);

const engine = await createEngine();
const net = new Sequential([
  new Conv2d(engine, { inChannels: 3, outChannels: 16, kernelSize: 3, padding: 1 }), // [B, 16, 32, 32]
  new ReLU(),
  new MaxPool2d({ kernelSize: 2, stride: 2 }), // [B, 16, 16, 16]
  new Branches(engine, 16, 16), // [B, 32, 16, 16]
  new MaxPool2d({ kernelSize: 2, stride: 2 }), // [B, 32, 8, 8]
  new Branches(engine, 32, 32), // [B, 64, 8, 8]
  new Branches(engine, 64, 32), // [B, 64, 8, 8]
  new GlobalAvgPool2d(), // [B, 64, 1, 1]
  new Flatten(), // [B, 64]
  new Linear(engine, { inFeatures: 64, outFeatures: 10 }), // [B, 10]
]);
const size = net.parameters().reduce((sum, parameter) => sum + parameter.size, 0);
console.log(`${size} parameters, the first of a branch: ${net.parameters()[2].name}`);

const options = { epochs, batch: 50, lr: 0.05, schedule: oneCycle(), augment: { flip: true } };
for await (const record of train(net, shapes({ count }), options)) {
  if (record.kind !== "epoch") continue;
  const { epoch, trainLoss, valTop1 } = record;
  console.log(
    `epoch ${epoch}: loss ${trainLoss.toFixed(3)}, ${(100 * valTop1).toFixed(1)} % of the validation pictures`,
  );
}
