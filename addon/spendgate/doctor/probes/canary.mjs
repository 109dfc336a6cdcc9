// One canary call by the Node that runs this: by its own fetch, or, led to an address, by its own https.
import https from "node:https";

const [host, address, header] = process.argv.slice(2);

function refused(fault) {
  const cause = fault.cause ?? fault;
  console.log(`refused: ${cause.code ?? ""} ${cause.message}`);
}

if (address) {
  const options = { host: address, servername: host, headers: { host }, timeout: 10_000, agent: false };
  https.get(options, (answer) => {
    console.log(`${header}: ${answer.headers[header]}`);
    answer.resume();
  }).on("error", refused).on("timeout", function () { this.destroy(new Error("no answer")); });
} else if (typeof fetch === "function") {
  fetch(`https://${host}/`, { signal: AbortSignal.timeout(10_000) })
    .then((answer) => console.log(`${header}: ${answer.headers.get(header)}`), refused);
} else {
  console.log("refused: this Node has no fetch of its own");
}
