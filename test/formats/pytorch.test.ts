import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DamagedFileError, WeightsError } from "#src/core/errors.js";
import { openWeights } from "#src/formats/open-weights.js";
import { openPytorch } from "#src/formats/pytorch/pytorch.js";
import { bytesReader } from "#src/io/byte-reader.js";
import { parseSafetensors } from "#src/io/safetensors-format.js";
import type { WeightsFile } from "#src/io/weights-file.js";
import { fuzz } from "../helpers/fuzz.js";
import { zipBytes } from "../helpers/zip-writer.js";
import { fails } from "../io/fails.js";

const FOLDER = new URL("../fixtures/torch/", import.meta.url);
const MNIST = new URL("../../../shared/data/mnist-conv/", import.meta.url);

const load = (name: string, folder = FOLDER): Uint8Array => new Uint8Array(readFileSync(new URL(name, folder)));
const open = (bytes: Uint8Array, name = "x"): Promise<WeightsFile> => openPytorch(bytesReader(bytes, name));
const expected = parseSafetensors(load("expected.safetensors"));

/** What PyTorch says is in a file, by name. */
function tensorsOf(name: string): string[] {
  return [...expected.tensors.keys()]
    .filter((key) => key.startsWith(`${name}/`))
    .map((key) => key.slice(name.length + 1));
}

async function read(file: WeightsFile, name: string, begin = 0, end?: number): Promise<Float32Array> {
  const size = (file.tensors.get(name)?.shape ?? []).reduce((product, side) => product * side, 1);
  const floats = new Float32Array((end ?? size) - begin);
  await file.readFloats(name, begin, floats);
  return floats;
}

for (const name of new Set([...expected.tensors.keys()].map((key) => key.split("/")[0]))) {
  test(`${name}: names, shapes, values to the bit`, async () => {
    const file = await openWeights(bytesReader(load(name), name));
    assert.is(file.variant, name.includes("legacy") ? "legacy container" : "zip container");
    assert.equal([...file.tensors.keys()].sort(), tensorsOf(name).sort());
    for (const [tensor, { shape, dtype }] of file.tensors) {
      const { shape: size = [] } = expected.tensors.get(`${name}/${tensor}`) ?? {};
      assert.equal(shape, size, tensor);
      const values = await expected.read(`${name}/${tensor}`);
      assert.equal(await read(file, tensor), values, tensor);
      // Ranges, and raw bytes.
      const [begin, end] = [Math.floor(values.length / 3), Math.ceil(values.length * 0.8)];
      assert.equal(await read(file, tensor, begin, end), values.slice(begin, end), tensor);
      const bytes = await file.readBytes(tensor, begin, end);
      if (dtype === "F32") assert.ok(Buffer.from(values.slice(begin, end).buffer).equals(bytes), tensor);
    }
    await file.close();
  });
}

test("dtypes are the file's", async () => {
  const file = await open(load("dtypes.pth"));
  assert.equal(
    [...file.tensors].map(([name, { dtype }]) => `${name} ${dtype}`),
    [
      "float16 F16",
      "bfloat16 BF16",
      "float64 F64",
      "int64 I64",
      "int32 I32",
      "int16 I16",
      "int8 I8",
      "bool BOOL",
      "uint8 U8",
      "large I64",
    ],
  );
  assert.equal([...(await file.readBytes("int16", 3, 5))], [100, 0, 0xf9, 0xff]);
  const views = await open(load("views.pth"));
  const half = await views.readBytes("half transposed", 0, 2);
  const [first, second] = [
    await views.readBytes("half transposed", 0, 1),
    await views.readBytes("half transposed", 1, 2),
  ];
  assert.equal([...half], [...first, ...second]);
});

test("a checkpoint: which dictionary was taken, and what lies beside it", async () => {
  const file = await open(load("checkpoint.pth"));
  assert.equal(file.metadata, {
    epoch: "3",
    arch: "vgg16",
    best: "0.5",
    container: "zip container",
    taken: "state_dict",
    stripped: "module.",
  });
  assert.is((await open(load("nested.pth"))).metadata.taken, "model");
  assert.is((await open(load("unusual.pth"))).metadata.taken, "large.1");
});

test("reading what is not there", async () => {
  const file = await open(load("zip.pth"));
  await fails(read(file, "no"), WeightsError, 'pytorch: x has no such tensor (name "no").');
  await fails(
    read(file, "classifier.bias", 1, 3),
    WeightsError,
    'the range is outside the tensor (tensor "classifier.bias", range 1 to 3, elements 2)',
  );
  await fails(file.readBytes("classifier.bias", -1, 1), WeightsError, "range -1 to 1");
});

const REFUSED: [name: string, text: string][] = [
  ["whole.pth", "pytorch: whole.pth asks for torch.nn.modules.container.Sequential (byte 66)"],
  [
    "whole-legacy.pth",
    "pytorch: whole-legacy.pth asks for __main__.Net (byte 153), which a file of plain tensors does not need.",
  ],
  ["no-tensors.pth", "pytorch: no-tensors.pth holds no dictionary of tensors."],
  ["complex.pth", "pytorch: complex.pth asks for torch.ComplexFloatStorage (byte "],
  ["script.pt", "pytorch: script.pt holds a TorchScript program."],
];
for (const [name, text] of REFUSED) {
  test(`refused: ${name}`, async () => {
    await fails(openWeights(bytesReader(load(name), name)), WeightsError, text);
  });
}

test("refused: tensors that overlap themselves, when they are read", async () => {
  const file = await open(load("overlapping.pth"));
  await fails(read(file, "a"), WeightsError, "pytorch: a tensor of x overlaps itself ([4,3], stride [1,1]).");
});

/** A zip container with this pickle. */
function container(
  pickle: string,
  storages: Record<string, Uint8Array> = {},
  more: Record<string, string> = {},
): Uint8Array {
  const entries = new Map([["a/data.pkl", Buffer.from(pickle, "latin1") as Uint8Array]]);
  for (const [key, bytes] of Object.entries(storages)) entries.set(`a/data/${key}`, bytes);
  for (const [name, text] of Object.entries(more)) entries.set(`a/${name}`, Buffer.from(text));
  return zipBytes(entries);
}

/** The call of _rebuild_tensor_v2 on a storage of 4 floats, with these opcodes for offset, shape and stride. */
const tensor = (offset: string, shape: string, stride: string, elements = "K\x04"): string =>
  `ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu${elements}tQ` +
  `${offset}(${shape}t(${stride}t\x89}tR`;
const dict = (...values: string[]): string =>
  `\x80\x02}(${values.map((value, i) => `X\x01\0\0\0${String.fromCharCode(97 + i)}${value}`).join("")}u.`;
const four = { 0: new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer) };
const HUGE = "\x8a\x08\0\0\0\0\0\0\0\x10";

const HOSTILE: [name: string, pickle: string, text: string][] = [
  [
    "os.system, by GLOBAL and REDUCE",
    "\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.",
    "pytorch: x asks for os.system (byte 66), which a file of plain tensors does not need. It may hold a whole model; nothing of it was run.",
  ],
  ["os.system, by STACK_GLOBAL", "\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.", "asks for os.system (byte "],
  ["os.system, by INST", "\x80\x02(X\x02\0\0\0lsios\nsystem\n.", "asks for os.system (byte "],
  ["os.system, by OBJ", "\x80\x02(cos\nsystem\nX\x02\0\0\0lso.", "asks for os.system (byte "],
  ["eval, by NEWOBJ", "\x80\x02cbuiltins\neval\nX\x01\0\0\x001\x85\x81.", "asks for builtins.eval (byte "],
  ["an extension", "\x80\x02\x82\x05.", "asks for extension 5 (byte "],
  ["names of Object", "\x80\x02ctorch\nconstructor\n.", "asks for torch.constructor"],
  [
    "a name that has no call",
    "\x80\x02ctorch\nFloatStorage\n)R.",
    "pytorch: what is no function is called in x (torch.FloatStorage, byte ",
  ],
  ["a call of a text", "\x80\x02X\x02\0\0\0os)R.", "calls what is no function (byte "],
  [
    "a call of itself",
    "\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._tensor\n_rebuild_from_type_v2\nN]NtR.",
    "a tensor is built from what is none",
  ],
  ["a text of 4 GB", "\x80\x02X\xff\xff\xff\xffa.", "pytorch: x ends inside its pickle (it wants bytes "],
  ["bytes of 2^60", "\x80\x04\x8e\0\0\0\0\0\0\0\x10a.", "ends inside its pickle"],
  ["a number of 2 GB", "\x80\x02\x8b\xff\xff\xff\x7fa.", "has a whole number of 2147483647 bytes"],
  ["values that are not there", "\x80\x02R.", "takes more values than there are"],
  ["a mark that is not there", "\x80\x02t.", "goes back to a mark that is not there"],
  ["a memo that is not there", "\x80\x02h\x05.", "recalls what it never kept (memo 5)"],
  ["a mark as a value", "\x80\x02(q\x01.", "takes more values than there are"],
  ["items of a list", "\x80\x02](NNu.", "sets items of what is no dictionary"],
  ["items without a partner", "\x80\x02}(Nu.", "sets items of what is no dictionary"],
  ["two values at the end", "\x80\x02NN.", "leaves 2 values"],
  ["protocol 9", "\x80\x09N.", "is of an unknown protocol (protocol 9)"],
  ["an opcode of protocol 0", "\x80\x02I1\n.", "has an unknown opcode (0x49)"],
  ["a text that is none", "\x80\x02X\x01\0\0\0\xff.", "has a text that is not UTF-8"],
  [
    "a tensor beyond its storage",
    dict(tensor("K\x01", "K\x04", "K\x01")),
    "a tensor that ends outside of its storage ([4], element 4 of 4) in x (torch._utils._rebuild_tensor_v2, byte ",
  ],
  [
    "a stride beyond its storage",
    dict(tensor("K\x00", "K\x02K\x02", "K\x03K\x01")),
    "ends outside of its storage ([2,2], element 4 of 4)",
  ],
  ["a size of 2^60", dict(tensor("K\x00", HUGE, "K\x01")), "a tensor whose sizes are no whole numbers"],
  [
    "2^40 elements of one",
    dict(tensor("K\x00", "\x8a\x06\0\0\0\0\0\x01", "K\x00")),
    "a tensor that claims more than its storage ([1099511627776], 4 elements)",
  ],
  [
    "a negative offset",
    dict(tensor("J\xff\xff\xff\xff", "K\x01", "K\x01")),
    "a tensor whose sizes are no whole numbers",
  ],
  [
    "a storage that is longer than its entry",
    dict(tensor("K\x00", "K\x04", "K\x01", "K\x05")),
    'pytorch: a storage in x is too short (key "0", 16 bytes, the pickle at byte 64 says 20)',
  ],
  [
    "a storage of 2^52 elements",
    dict(tensor("K\x00", "K\x04", "K\x01", "\x8a\x07\0\0\0\0\0\0\x10")),
    "is too short (key",
  ],
  [
    "a tensor without a storage",
    `\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(NK\0))\x89}tR.`,
    "a tensor without a storage in x",
  ],
  ["an unknown reference", "\x80\x02X\x01\0\0\0aQ.", "pytorch: an unknown reference in x (storage, byte "],
];
for (const [name, pickle, text] of HOSTILE) {
  test(`hostile: ${name}`, async () => {
    await fails(open(container(pickle, four)), WeightsError, text);
  });
}

test("hostile: dictionaries and lists inside themselves, doubled, and deep", async () => {
  const inner = tensor("K\x00", "K\x04", "K\x01");
  // {a: tensor, b: itself}
  const itself = await open(container(`\x80\x02}q\x00(X\x01\0\0\0a${inner}X\x01\0\0\0bh\x00u.`, four));
  assert.equal([...itself.tensors.keys()], ["a"]);
  // Each of 60 dictionaries holds the one before it twice.
  let doubled = `\x80\x02}X\x01\0\0\0a${inner}s`;
  for (let i = 0; i < 60; i++) doubled += `q\x00\x30}(X\x01\0\0\0bh\x00X\x01\0\0\0ch\x00u`;
  await fails(open(container(`${doubled}.`, four)), WeightsError, "has more than 131072 tensors");
  let lists = "\x80\x02]";
  for (let i = 0; i < 60; i++) lists += "q\x000](h\x00h\x00e";
  await fails(open(container(`${lists}.`)), WeightsError, "holds no dictionary of tensors");
  await fails(
    open(container(`\x80\x02${"]".repeat(200_000)}${"a".repeat(199_999)}.`)),
    WeightsError,
    "holds no dictionary of tensors",
  );
  const deep = `\x80\x02${"}X\x01\0\0\0a".repeat(100_000)}N${"s".repeat(100_000)}.`;
  await fails(open(container(deep)), WeightsError, "holds no dictionary of tensors");
});

test("hostile: names that never end", async () => {
  const inner = tensor("K\x00", "K\x04", "K\x01");
  const text = (value: string): string =>
    `X${Buffer.from(Uint32Array.of(value.length).buffer).toString("latin1")}${value}`;
  const tooLong = "pytorch: x has a name of more than 4096 characters (name ";
  const prefixes = `\x80\x02}${text(`${"module.".repeat(60_000)}a`)}${inner}s.`;
  await fails(open(container(prefixes, four)), WeightsError, tooLong);
  const nested = `\x80\x02}${text("k".repeat(10_000_000))}q\x00}${"h\x00}".repeat(58)}${text("t")}${inner}${"s".repeat(60)}.`;
  await fails(open(container(nested, four)), WeightsError, tooLong);
  // A list of chains, each no deeper than is allowed, that ends in the one before it.
  const memo = (code: string, k: number): string => code + Buffer.from(Uint32Array.of(k).buffer).toString("latin1");
  let chains = `\x80\x02](}${text("t")}${inner}s${memo("r", 0)}`;
  for (let k = 0; k < 400; k++) {
    const down = `}${text("a")}`.repeat(50);
    chains += `}${text("t")}${inner}s${text("a")}${down}${memo("j", k)}${"s".repeat(51)}${memo("r", k + 1)}`;
  }
  await fails(open(container(`${chains}e.`, four)), WeightsError, tooLong);
});

test("names of the file are only names: __proto__ among them", async () => {
  const file = await open(
    container(`\x80\x02}(X\x09\0\0\0__proto__${tensor("K\x00", "K\x02", "K\x01")}X\x0b\0\0\0constructorK\x07u.`, four),
  );
  assert.equal([...file.tensors.keys()], ["__proto__"]);
  assert.equal(await read(file, "__proto__"), Float32Array.of(1, 2));
  assert.equal(Object.entries(file.metadata), [
    ["constructor", "7"],
    ["container", "zip container"],
  ]);
});

test("packed entries, and another order of bytes", async () => {
  const pickle = dict(tensor("K\x01", "K\x03", "K\x01"));
  const packed = zipBytes(
    new Map([
      ["a/data.pkl", Buffer.from(pickle, "latin1") as Uint8Array],
      ["a/data/0", four[0]],
    ]),
    { packed: true },
  );
  assert.equal(await read(await open(packed), "a"), Float32Array.of(2, 3, 4));
  await fails(
    open(container(pickle, four, { byteorder: "big" })),
    WeightsError,
    'pytorch: x has another order of bytes (byteorder "big").',
  );
  await fails(
    open(container(pickle)),
    DamagedFileError,
    'a storage in x is missing (key "0", 0 bytes, the pickle at byte 64 says 16)',
  );
  await fails(open(zipBytes(new Map([["b", four[0]]]))), WeightsError, "is a zip file without a pickle");
});

test("old files: OrderedDict from pairs and bytes as texts (Python 2), views of storages, tar", async () => {
  const pairs = `\x80\x02ccollections\nOrderedDict\n](](U\x01w${tensor("K\x00", "K\x02", "K\x01")}ee\x85R.`;
  assert.equal(await read(await open(container(pairs, four)), "w"), Float32Array.of(1, 2));
  const view = dict(tensor("K\x01", "K\x01", "K\x01", "K\x04(X\x01\0\0\x000K\x01K\x02t"));
  assert.equal(await read(await open(container(view, four)), "a"), Float32Array.of(3));
  const tar = Buffer.alloc(1024);
  tar.write("ustar", 257);
  await fails(openWeights(bytesReader(tar, "x")), WeightsError, "pytorch: x is of PyTorch's first years (a tar file).");
});

test("pickles that are none of torch.save()", async () => {
  await fails(
    open(Buffer.from("\x80\x02N.", "latin1")),
    WeightsError,
    "pytorch: x is a pickle, but none of torch.save() (byte 0).",
  );
  await fails(open(Buffer.from("\x80\x02cos\nsystem\n.", "latin1")), WeightsError, "asks for os.system (byte 2)");
  await fails(open(Buffer.from("zero")), DamagedFileError, "has an unknown opcode (0x7a) (byte 0)");
  await fails(open(new Uint8Array(0)), DamagedFileError, "pytorch: x ends inside its pickle (it wants bytes 0 to 1).");
});

for (const name of ["zip.pth", "legacy.pth", "checkpoint.pth", "views-legacy.pth"]) {
  test(`${name} cut at every 1 %: a DamagedFileError that names a byte`, async () => {
    const bytes = load(name);
    for (let percent = 0; percent < 100; percent++) {
      const cut = bytes.subarray(0, Math.floor((bytes.length * percent) / 100));
      await fails(open(cut), DamagedFileError, "byte");
    }
  });
}

for (const name of readdirSync(fileURLToPath(FOLDER)).filter((file) => !file.endsWith(".safetensors"))) {
  test(`${name}: 250 damaged copies`, async () => {
    const { opened, refused } = await fuzz(load(name), openPytorch, { count: 250, seed: 7, name });
    assert.is(opened + refused, 250);
    assert.ok(refused > 50, `${refused} refused`);
  });
}

/** Of all values of mnist.pt, in its order, as PyTorch 1.13 gives them. */
const MNIST_SHA256 = "800b3716347472f7bf1d8503337074ccbd305ec03d6bae1f72c8759b1e12ca25";

if (existsSync(MNIST)) {
  test("burn's mnist.pt: PyTorch's values, to the bit; names, shapes and dtypes of mnist.safetensors; simple_legacy.pt", async () => {
    const file = await openWeights(bytesReader(load("mnist.pt", MNIST)));
    const other = parseSafetensors(load("mnist.safetensors", MNIST));
    assert.equal([...file.tensors.keys()].sort(), [...other.tensors.keys()].sort());
    const hash = createHash("sha256");
    for (const [name, { shape, dtype }] of file.tensors) {
      assert.equal({ shape, dtype }, { shape: other.tensors.get(name)?.shape, dtype: other.tensors.get(name)?.dtype });
      hash.update(
        await file.readBytes(
          name,
          0,
          shape.reduce((product, side) => product * side, 1),
        ),
      );
    }
    assert.is(hash.digest("hex"), MNIST_SHA256);
    const legacy = await openWeights(bytesReader(load("simple_legacy.pt", MNIST)));
    assert.equal(await read(legacy, "bias"), Float32Array.of(1, 1));
    assert.equal((await read(legacy, "weight"))[5], Math.fround(2.087892770767212));
  });
} else {
  test("burn's files", () => console.log("SKIPPED: burn's mnist.pt (no ../shared/data/mnist-conv)"));
}

test.run();
