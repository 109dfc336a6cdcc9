// Node, Bun and Deno: take 127.0.0.1:PORT for NAME, trusting ROOT alone. Status 0: it passes; 1: the certificate is refused.
import { readFileSync } from "node:fs";
import net from "node:net";
import tls from "node:tls";

const args = globalThis.Deno ? Deno.args : process.argv.slice(2);
const [name, port, root] = args;
const ca = readFileSync(root, "utf8");
const end = (status, why) => {
  console.log(why);
  globalThis.Deno ? Deno.exit(status) : process.exit(status);
};

if (globalThis.Deno) {
  const plain = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
  try {
    const link = await Deno.startTls(plain, { hostname: name, caCerts: [ca] });
    await link.handshake();
    end(0, "passes");
  } catch (fault) {
    end(/certificate/i.test(fault.message) ? 1 : 2, `${/certificate/i.test(fault.message) ? "refused: " : ""}${fault.message}`);
  }
} else {
  const socket = net.connect({ host: "127.0.0.1", port: Number(port) });
  const servername = net.isIP(name) ? "" : name;
  const link = tls.connect({ socket, host: name, servername, ca }, () => end(link.authorized ? 0 : 1, "passes"));
  link.on("error", (fault) => {
    const ours = /CERT|SUBTREE|PERMITTED|EXCLUDED|UNSUPPORTED|certificate|altname/i.test(`${fault.code} ${fault.message}`);
    end(ours ? 1 : 2, `${ours ? "refused: " : ""}${fault.code}: ${fault.message}`);
  });
}
