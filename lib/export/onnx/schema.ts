// The messages of an ONNX file that are used here, as a descriptor for the protobuf library: a table in the place of
// generated code. Fields that are not listed are kept as unknown ones, so files of others can be read too. Source:
// onnx.proto of ONNX 1.17 (IR version 10).

import { create, createFileRegistry, type Message } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';
import {
  FileDescriptorProtoSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Scalar,
} from '@bufbuild/protobuf/wkt';

type Entry = Message<'onnx.StringStringEntryProto'> & { key: string; value: string };

export type TensorProto = Message<'onnx.TensorProto'> & {
  dims: bigint[];
  dataType: number;
  name: string;
  rawData: Uint8Array;
  externalData: Entry[];
  dataLocation: number;
};

type AttributeProto = Message<'onnx.AttributeProto'> & {
  name: string;
  type: number;
  f: number;
  i: bigint;
  s: Uint8Array;
  ints: bigint[];
};

export type NodeProto = Message<'onnx.NodeProto'> & {
  input: string[];
  output: string[];
  name: string;
  opType: string;
  domain: string;
  attribute: AttributeProto[];
};

type DimensionProto = Message<'onnx.DimensionProto'> & {
  dimValue: bigint;
  dimParam: string;
};

type ValueInfoProto = Message<'onnx.ValueInfoProto'> & {
  name: string;
  type?: Message<'onnx.TypeProto'> & {
    tensorType?: Message<'onnx.TensorTypeProto'> & {
      elemType: number;
      shape?: Message<'onnx.TensorShapeProto'> & { dim: DimensionProto[] };
    };
  };
};

type GraphProto = Message<'onnx.GraphProto'> & {
  node: NodeProto[];
  name: string;
  initializer: TensorProto[];
  input: ValueInfoProto[];
  output: ValueInfoProto[];
};

type ModelProto = Message<'onnx.ModelProto'> & {
  irVersion: bigint;
  producerName: string;
  graph?: GraphProto;
  opsetImport: (Message<'onnx.OperatorSetIdProto'> & { domain: string; version: bigint })[];
};

/** A field's number and its type, 'x[]' where it is repeated. Enumerations are int32, which is the same on the wire. */
type Field = readonly [number: number, type: string];

const messages: Readonly<Record<string, Readonly<Record<string, Field>>>> = {
  ModelProto: {
    ir_version: [1, 'int64'],
    producer_name: [2, 'string'],
    graph: [7, 'GraphProto'],
    opset_import: [8, 'OperatorSetIdProto[]'],
  },
  GraphProto: {
    node: [1, 'NodeProto[]'],
    name: [2, 'string'],
    initializer: [5, 'TensorProto[]'],
    input: [11, 'ValueInfoProto[]'],
    output: [12, 'ValueInfoProto[]'],
  },
  NodeProto: {
    input: [1, 'string[]'],
    output: [2, 'string[]'],
    name: [3, 'string'],
    op_type: [4, 'string'],
    attribute: [5, 'AttributeProto[]'],
    domain: [7, 'string'],
  },
  AttributeProto: {
    name: [1, 'string'],
    f: [2, 'float'],
    i: [3, 'int64'],
    s: [4, 'bytes'],
    ints: [8, 'int64[]'],
    type: [20, 'int32'],
  },
  TensorProto: {
    dims: [1, 'int64[]'],
    data_type: [2, 'int32'],
    name: [8, 'string'],
    raw_data: [9, 'bytes'],
    external_data: [13, 'StringStringEntryProto[]'],
    data_location: [14, 'int32'],
  },
  ValueInfoProto: { name: [1, 'string'], type: [2, 'TypeProto'] },
  TypeProto: { tensor_type: [1, 'TensorTypeProto'] },
  TensorTypeProto: { elem_type: [1, 'int32'], shape: [2, 'TensorShapeProto'] },
  TensorShapeProto: { dim: [1, 'DimensionProto[]'] },
  DimensionProto: { dim_value: [1, 'int64'], dim_param: [2, 'string'] },
  OperatorSetIdProto: { domain: [1, 'string'], version: [2, 'int64'] },
  StringStringEntryProto: { key: [1, 'string'], value: [2, 'string'] },
};

const scalars: Readonly<Record<string, Scalar>> = {
  int32: Scalar.INT32,
  int64: Scalar.INT64,
  float: Scalar.FLOAT,
  string: Scalar.STRING,
  bytes: Scalar.BYTES,
};

function fieldDescriptor([name, [number, spelled]]: [string, Field]) {
  const kind = spelled.replace('[]', '');
  const scalar = scalars[kind];
  return {
    name,
    number,
    label: kind === spelled ? Label.OPTIONAL : Label.REPEATED,
    type: scalar ?? Scalar.MESSAGE,
    ...(scalar === undefined ? { typeName: `.onnx.${kind}` } : {}),
  };
}

const registry = createFileRegistry(
  create(FileDescriptorProtoSchema, {
    name: 'onnx.proto',
    package: 'onnx',
    syntax: 'proto2',
    messageType: Object.entries(messages).map(([name, fields]) => ({
      name,
      field: Object.entries(fields).map(fieldDescriptor),
    })),
  }),
  () => undefined,
);

export const modelSchema = registry.getMessage('onnx.ModelProto') as GenMessage<ModelProto>;

/** Numbers of TensorProto.DataType. */
export const dataTypes = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int64: 7,
  uint4: 21,
  int4: 22,
} as const;
export type DataType = keyof typeof dataTypes;

export const elementBits: Readonly<Record<DataType, number>> = {
  float32: 32,
  uint8: 8,
  int8: 8,
  int64: 64,
  uint4: 4,
  int4: 4,
};

/** Numbers of AttributeProto.AttributeType. */
export const attributeTypes = { float: 1, int: 2, string: 3, ints: 7 } as const;

/** TensorProto.DataLocation of tensors whose bytes lie in another file. */
export const externalLocation = 1;
