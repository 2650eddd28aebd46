// Calls every shape of method: node client.mjs FOLDER_OF_MODULES ADDRESS FILE.proto

import { createRequire } from "node:module";
import { join } from "node:path";
import { promisify } from "node:util";

const [modules, address, proto] = process.argv.slice(2);
const require = createRequire(join(modules, "here.js"));
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const definition = loader.loadSync(proto, { keepCase: true, longs: Number });
const { InventoryService } = grpc.loadPackageDefinition(definition).shop.v1;
const client = new InventoryService(address, grpc.credentials.createInsecure());
const deadline = () => ({ deadline: Date.now() + 10_000 });

const reserve = (request) =>
  promisify((done) => client.Reserve(request, deadline(), done))();

console.log((await reserve({ sku: "a", quantity: 3 })).left);

const seen = [];
for await (const each of client.Watch({ skus: ["a", "b"] }, deadline())) seen.push(each.sku);
console.log(seen.join(","));

console.log(
  await new Promise((resolve, reject) => {
    const call = client.Load(deadline(), (error, answer) =>
      error ? reject(error) : resolve(answer.total),
    );
    for (const quantity of [1, 2, 3]) call.write({ quantity });
    call.end();
  }),
);

const talk = client.Talk(deadline());
for (const text of ["a", "b"]) talk.write({ text });
talk.end();
const heard = [];
for await (const each of talk) heard.push(each.text);
console.log(heard.join(","));

try {
  await reserve({ sku: "a", quantity: -1 });
} catch (error) {
  console.log(grpc.status[error.code], error.details);
}
client.close();
