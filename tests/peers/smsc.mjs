// A message centre made of npm's `smpp`, which nobody here wrote. It says what it got as JSON, one line each, and takes orders
// the same way: {"from", "to", "parts": [hex, ...], "coding"} is delivered to us, part by part.
import { createInterface } from "node:readline";
import smpp from "smpp";

const say = (what) => console.log(JSON.stringify(what));
const waiting = new Map();
let session, last = Date.now() % 1e9, throttled = false; // ids of its own, however often it is started

const server = smpp.createServer({}, (bound) => {
  session = bound;
  bound.on("error", () => {});
  bound.on("bind_transceiver", (pdu) => {
    const right = pdu.system_id === "postmeter" && pdu.password === "secret";
    say({ bound: right });
    bound.send(pdu.response({ command_status: right ? 0 : smpp.ESME_RBINDFAIL, system_id: "npm" }));
  });
  bound.on("enquire_link", (pdu) => bound.send(pdu.response()));
  bound.on("unbind", (pdu) => { bound.send(pdu.response()); bound.close(); });
  bound.on("submit_sm", (pdu) => {
    const { udh, message } = pdu.short_message;
    if (message.includes("slowly") && !throttled) {
      throttled = true;
      bound.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
      return;
    }
    const id = String(++last);
    const joined = udh ? [...udh[0]].slice(-2) : [1, 1];
    say({ submitted: message, id, to: pdu.destination_addr, from: pdu.source_addr, coding: pdu.data_coding, total: joined[0], position: joined[1] });
    bound.send(pdu.response({ message_id: id }));
    bound.deliver_sm({
      esm_class: smpp.ESM_CLASS.MC_DELIVERY_RECEIPT,
      source_addr_ton: 1, source_addr: pdu.destination_addr, dest_addr_ton: 1, destination_addr: pdu.source_addr,
      short_message: `id:${Number(id).toString(16).padStart(8, "0")} sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:DELIVRD err:000 text:`,
    }, (answer) => say({ receipt: id, status: answer.command_status }));
  });
});
server.listen(0, "127.0.0.1", () => say({ port: server.address().port }));

for await (const line of createInterface({ input: process.stdin })) {
  const { from, to, parts, coding } = JSON.parse(line);
  for (const hex of parts) {
    session.deliver_sm({
      source_addr_ton: 1, source_addr: from, dest_addr_ton: 1, destination_addr: to, data_coding: coding,
      esm_class: parts.length > 1 ? smpp.ESM_CLASS.UDH_INDICATOR : 0, short_message: Buffer.from(hex, "hex"),
    }, (answer) => say({ text: hex, status: answer.command_status }));
  }
}
process.exit(0); // whoever is still connected
