// Reads [{secret, body, headers}] and writes whether each signature holds.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const holds = ({ secret, body, headers }) => {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch {
    return false;
  }
};
console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(holds)));
