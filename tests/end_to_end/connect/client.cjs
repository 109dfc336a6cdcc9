// A Connect client behind an HTTP proxy, as one JSON line of what it saw. Arguments: proxy port, provider port, CA file, HTTP version
// ("2" or "1.1"), what to do, how many messages, milliseconds between two, conversation id, model.
const crypto = require("node:crypto");
const fs = require("node:fs");
const https = require("node:https");
const net = require("node:net");
const tls = require("node:tls");
const { create, fromBinary, toBinary } = require("@bufbuild/protobuf");
const { createClient, ConnectError, Code } = require("@connectrpc/connect");
const { createTransport } = require("@connectrpc/connect/protocol-connect");
const { createNodeHttpClient, Http2SessionManager, compressionGzip } = require("@connectrpc/connect-node");
const { Agent, Bidi, ClientMessage, ServerMessage, ErrorDetails } = require("./schema.cjs");

const [proxyPort, host, caFile, version, what, messages, pause, conversation, model] = process.argv.slice(2);
const ca = fs.readFileSync(caFile);
const hash = () => crypto.createHash("sha256");
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// A TLS connection through the proxy; ready at once, since what is written waits for it.
function connected(alpn) {
  return new Promise((done, failed) => {
    const raw = net.connect(Number(proxyPort), "127.0.0.1", () => raw.write(`CONNECT ${host}:443 HTTP/1.1\r\nhost: ${host}:443\r\n\r\n`));
    raw.setNoDelay(true);
    raw.once("error", failed);
    raw.once("data", (head) => {
      if (!head.toString().startsWith("HTTP/1.1 200")) return failed(new Error(head.toString()));
      const secure = tls.connect({ socket: raw, servername: host, ca, ALPNProtocols: [alpn] }, () => done(secure));
      secure.once("error", failed);
    });
  });
}

class ThroughProxy extends https.Agent {
  createConnection(options, callback) {
    connected("http/1.1").then((socket) => callback(null, socket), callback);
  }
}

// As Cursor's own transport does, and the stock one does not: an event stream is taken for what it holds.
const tolerant = (http) => async (request) => {
  const response = await http(request);
  if (response.header.get("content-type")?.startsWith("text/event-stream")) response.header.set("content-type", "application/connect+proto");
  return response;
};

async function transport() {
  const over = version === "1.1"
    ? { httpVersion: "1.1", nodeOptions: { agent: new ThroughProxy({ keepAlive: true }) } }
    : { httpVersion: "2", sessionProvider: sessions(await connected("h2")) };
  return createTransport({
    httpClient: tolerant(createNodeHttpClient(over)),
    baseUrl: `https://${host}`,
    useBinaryFormat: true,
    interceptors: [],
    acceptCompression: [compressionGzip],
    sendCompression: compressionGzip,
    compressMinBytes: 1024,
    readMaxBytes: 0xffffffff,
    writeMaxBytes: 0xffffffff,
  });
}

function sessions(socket) {
  const manager = new Http2SessionManager(`https://${host}`, undefined, { createConnection: () => socket });
  return () => manager;
}

const first = () =>
  create(ClientMessage, {
    runRequest: { state: crypto.randomBytes(3000), conversationId: conversation, requestedModel: { modelId: model, parameter: { id: "fast", value: "true" } } },
  });

function later(number) {
  const exec = Buffer.alloc(number % 7 ? 12 : 5000, "tool result ");
  exec.writeUInt32BE(number, 0);
  return create(ClientMessage, { exec });
}

function outgoing(seen) {
  const sent = hash();
  const noted = (message) => {
    sent.update(toBinary(ClientMessage, message));
    seen.sent = sent.copy().digest("hex");
    seen.messages += 1;
    seen.sentAt.push(performance.now());
    return message;
  };
  return (async function* () {
    yield noted(first());
    for (let number = 1; number < Number(messages); number += 1) {
      await sleep(Number(pause));
      yield noted(later(number));
    }
    seen.closedAt = performance.now();
  })();
}

async function drained(answers, seen) {
  const received = hash();
  for await (const answer of answers) {
    received.update(toBinary(ServerMessage, answer));
    seen.received = received.copy().digest("hex");
    seen.answers += 1;
    const said = /^answer (\d+)/.exec(answer.update?.textDelta?.text ?? "");
    if (said) {
      seen.order.push(Number(said[1]));
      seen.waits.push(performance.now() - seen.sentAt[Number(said[1])]);
      if (seen.closedAt === undefined) seen.whileOpen += 1;
    }
  }
}

async function main() {
  const seen = { sent: "", received: "", messages: 0, answers: 0, whileOpen: 0, order: [], waits: [], sentAt: [] };
  const through = await transport();
  const agent = createClient(Agent, through);
  const bidi = createClient(Bidi, through);
  const headers = { "x-cursor-client-version": "3.16.17", authorization: "Bearer eyJhbGciOiJub25lIn0.e30.x" };
  try {
    if (what === "run") await drained(agent.run(outgoing(seen), { headers }), seen);
    else if (what === "name") seen.name = (await agent.nameAgent({ text: "hello" }, { headers })).text;
    else {
      const requestId = crypto.randomUUID();
      const answers = drained(agent.runSSE({ requestId }, { headers }), seen);
      const appends = (async () => {
        let seqno = 0n;
        for await (const message of outgoing(seen)) {
          const data = Buffer.from(toBinary(ClientMessage, message)).toString("hex");
          await bidi.bidiAppend({ data, requestId: { requestId }, appendSeqno: seqno++ }, { headers });
        }
        await bidi.bidiAppend({ data: "", requestId: { requestId }, appendSeqno: seqno }, { headers });
      })();
      await Promise.all([answers, appends]);
    }
  } catch (fault) {
    const error = ConnectError.from(fault);
    const found = error.details.find((detail) => detail.type === "aiserver.v1.ErrorDetails");
    seen.error = { code: Code[error.code], message: error.rawMessage, shown: found && fromBinary(ErrorDetails, found.value).details };
  }
  delete seen.sentAt;
  fs.writeSync(1, JSON.stringify(seen) + "\n");
  process.exit(0);
}

main();
