// The messages and services that the tests need, built at run time: what facts/wire-formats.md 7 reports, told once more, without
// the product's own table. Not Cursor's published schema: there is none.
const { create, createFileRegistry } = require("@bufbuild/protobuf");
const { FileDescriptorProtoSchema, FileDescriptorSetSchema } = require("@bufbuild/protobuf/wkt");

const [I64, I32, BOOL, STRING, MESSAGE, BYTES] = [3, 5, 8, 9, 11, 12];
const field = (name, number, type, typeName) => ({ name, number, type, typeName, label: 1, jsonName: name });
const message = (name, ...fields) => ({ name, field: fields });

const agent = create(FileDescriptorProtoSchema, {
  name: "agent.proto",
  package: "agent.v1",
  syntax: "proto3",
  dependency: ["aiserver.proto"],
  messageType: [
    message("ModelDetails", field("model_id", 1, STRING), field("max_mode", 7, BOOL)),
    message("Parameter", field("id", 1, STRING), field("value", 2, STRING)),
    message(
      "RequestedModel",
      field("model_id", 1, STRING),
      field("max_mode", 2, BOOL),
      field("parameter", 3, MESSAGE, ".agent.v1.Parameter"),
    ),
    message(
      "RunRequest",
      field("state", 1, BYTES),
      field("model_details", 3, MESSAGE, ".agent.v1.ModelDetails"),
      field("conversation_id", 5, STRING),
      field("requested_model", 9, MESSAGE, ".agent.v1.RequestedModel"),
    ),
    message("ClientMessage", field("run_request", 1, MESSAGE, ".agent.v1.RunRequest"), field("exec", 2, BYTES)),
    message("Text", field("text", 1, STRING)),
    message("Tokens", field("tokens", 1, I32)),
    message(
      "TurnEnded",
      ...["input", "output", "cache_read", "cache_write", "reasoning"].map((name, at) => field(name, at + 1, I64)),
    ),
    message(
      "Update",
      field("text_delta", 1, MESSAGE, ".agent.v1.Text"),
      field("token_delta", 8, MESSAGE, ".agent.v1.Tokens"),
      field("turn_ended", 14, MESSAGE, ".agent.v1.TurnEnded"),
    ),
    message("ServerMessage", field("update", 1, MESSAGE, ".agent.v1.Update"), field("blob", 4, BYTES)),
  ],
  service: [
    {
      name: "AgentService",
      method: [
        { name: "Run", inputType: ".agent.v1.ClientMessage", outputType: ".agent.v1.ServerMessage", clientStreaming: true, serverStreaming: true },
        { name: "RunSSE", inputType: ".aiserver.v1.BidiRequestId", outputType: ".agent.v1.ServerMessage", serverStreaming: true },
        { name: "NameAgent", inputType: ".agent.v1.Text", outputType: ".agent.v1.Text" },
      ],
    },
  ],
});
const aiserver = create(FileDescriptorProtoSchema, {
  name: "aiserver.proto",
  package: "aiserver.v1",
  syntax: "proto3",
  messageType: [
    message("BidiRequestId", field("request_id", 1, STRING)),
    message(
      "BidiAppendRequest",
      field("data", 1, STRING),
      field("request_id", 2, MESSAGE, ".aiserver.v1.BidiRequestId"),
      field("append_seqno", 3, I64),
    ),
    message("BidiAppendResponse"),
    message(
      "CustomErrorDetails",
      field("title", 1, STRING),
      field("detail", 2, STRING),
      field("is_retryable", 4, BOOL),
      field("should_show_immediate_error", 6, BOOL),
    ),
    message(
      "ErrorDetails",
      field("error", 1, I32),
      field("details", 2, MESSAGE, ".aiserver.v1.CustomErrorDetails"),
      field("is_expected", 3, BOOL),
    ),
  ],
  service: [
    {
      name: "BidiService",
      method: [{ name: "BidiAppend", inputType: ".aiserver.v1.BidiAppendRequest", outputType: ".aiserver.v1.BidiAppendResponse" }],
    },
  ],
});

const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [aiserver, agent] }));
module.exports = {
  Agent: registry.getService("agent.v1.AgentService"),
  Bidi: registry.getService("aiserver.v1.BidiService"),
  ClientMessage: registry.getMessage("agent.v1.ClientMessage"),
  ServerMessage: registry.getMessage("agent.v1.ServerMessage"),
  ErrorDetails: registry.getMessage("aiserver.v1.ErrorDetails"),
};
