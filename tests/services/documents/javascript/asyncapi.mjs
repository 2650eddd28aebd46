// Reads an AsyncAPI document from stdin, and writes what is wrong with it, as JSON.
import { text } from "node:stream/consumers";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(await text(process.stdin));
const told = diagnostics.map(({ severity, message, path }) => ({ severity, message, path }));
const seen = document && {
  version: document.version(),
  channels: document.channels().all().map((each) => each.id()),
  operations: document.operations().all().map((each) => each.id()),
  messages: document.components().messages().all().map((each) => each.id()),
};
console.log(JSON.stringify({ told, seen: seen ?? null }));
