// Reads texts as JSON, one a line, and answers each with what Twilio's own calculator says, one line each.
import { createInterface } from "node:readline";
import calculator from "sms-segments-calculator";

for await (const line of createInterface({ input: process.stdin })) {
  const message = new calculator.SegmentedMessage(JSON.parse(line));
  const { encodingName: encoding, segmentsCount: segments, graphemes } = message;
  console.log(JSON.stringify({ encoding, segments, graphemes }));
}
