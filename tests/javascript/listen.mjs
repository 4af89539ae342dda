// Prints the first numbers of the event `walk` as JSON: node listen.mjs URL COUNT
import { Fetch, io } from "./socket.io.esm.min.mjs";

const [url, count] = process.argv.slice(2);
const socket = io(url, { transports: [Fetch] }); // Node.js 18 has fetch(), and no WebSocket
const numbers = [];
socket.on("walk", (number) => {
  numbers.push(number);
  if (numbers.length == count) {
    console.log(JSON.stringify(numbers));
    socket.disconnect();
  }
});
