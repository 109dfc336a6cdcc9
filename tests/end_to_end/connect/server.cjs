// A provider over Connect: agent runs that answer every message at once and count themselves. One JSON line for each call that
// ended, on stdout: what it received and sent. Arguments: a PEM file of certificate and key.
const crypto = require("node:crypto");
const fs = require("node:fs");
const http2 = require("node:http2");
const { create, fromBinary, toBinary } = require("@bufbuild/protobuf");
const { connectNodeAdapter, compressionGzip } = require("@connectrpc/connect-node");
const { Agent, Bidi, ClientMessage, ServerMessage } = require("./schema.cjs");

const say = (line) => fs.writeSync(1, JSON.stringify(line) + "\n");
const hash = () => crypto.createHash("sha256");
const runs = new Map(); // request id -> { parts, wake }, what was appended for a RunSSE

async function* answers(incoming, name) {
  const received = hash(), sent = hash();
  let [count, out] = [0, 0];
  const counted = (found) => {
    const whole = create(ServerMessage, found);
    sent.update(toBinary(ServerMessage, whole));
    out += 1;
    return whole;
  };
  let counts = true, filler = 0;
  try {
    for await (const message of incoming) {
      received.update(toBinary(ClientMessage, message));
      count += 1;
      if (message.runRequest) {
        counts = message.runRequest.conversationId !== "no-counts";
        filler = message.runRequest.conversationId === "endless" ? 4000 : 0;
      }
      const number = message.exec?.length ? Buffer.from(message.exec).readUInt32BE(0) : 0;
      yield counted({ update: { textDelta: { text: `answer ${number} ` + "x".repeat(filler) } } });
      yield counted({ update: { tokenDelta: { tokens: filler ? 2000 : 2 } } });
    }
    if (counts)
      yield counted({ update: { turnEnded: { input: 388564n, output: 5870n, cacheRead: 346112n, cacheWrite: 0n, reasoning: 2736n } } });
  } finally {
    say({ call: name, received: received.digest("hex"), messages: count, sent: sent.digest("hex"), answers: out });
  }
}

async function* appended(id) {
  const run = runOf(id);
  for (let at = 0; ; at += 1) {
    while (run.parts.length <= at) await new Promise((wake) => (run.wake = wake));
    if (run.parts[at] === null) return;
    yield run.parts[at];
  }
}

function runOf(id) {
  if (!runs.has(id)) runs.set(id, { parts: [], wake: () => {} });
  return runs.get(id);
}

const routes = (router) => {
  router.service(Agent, {
    run: (incoming) => answers(incoming, "Run"),
    runSSE: (asked) => answers(appended(asked.requestId), "RunSSE"),
    nameAgent: (asked) => ({ text: asked.text.toUpperCase() }),
  });
  router.service(Bidi, {
    bidiAppend(asked) {
      const run = runOf(asked.requestId.requestId);
      run.parts.push(asked.data ? fromBinary(ClientMessage, Buffer.from(asked.data, "hex")) : null);
      run.wake();
      return {};
    },
  });
};

const pem = fs.readFileSync(process.argv[2]);
const handler = connectNodeAdapter({ routes, acceptCompression: [compressionGzip], compressMinBytes: 1024 });
const server = http2.createSecureServer({ key: pem, cert: pem, allowHTTP1: true }, (request, response) => {
  // Cursor's servers call this answer an event stream, and put the same envelopes into it.
  if (request.url.endsWith("RunSSE")) {
    const head = response.writeHead.bind(response);
    response.writeHead = (status, ...more) => {
      const headers = more[more.length - 1] ?? {};
      for (const name of Object.keys(headers)) if (name.toLowerCase() === "content-type") headers[name] = "text/event-stream";
      return head(status, ...more);
    };
  }
  handler(request, response);
});
// Node leaves Nagle's algorithm on here, which holds small HTTP/1.1 answers back for 40 ms.
server.on("secureConnection", (socket) => socket.setNoDelay(true));
server.listen(0, "127.0.0.1", () => say({ port: server.address().port }));
