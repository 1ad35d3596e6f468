/** Runs echo-server.mjs in a worker thread, talks to it, wakes it, stops it. */
import net from 'node:net';
import { Worker } from 'node:worker_threads';

const { wakeLoop } = await import(new URL('../../../dist/engines/io/waker.js', import.meta.url).href);
const worker = new Worker(new URL('./echo-server.mjs', import.meta.url));
const next = () => new Promise((resolve) => worker.once('message', resolve));
const { port, waker } = await next();
const socket = net.connect({ port, host: '127.0.0.1' });
socket.write('hello');
console.log(`echo ${await new Promise((resolve) => socket.once('data', resolve))}`);
socket.destroy();
const woken = next();
wakeLoop(waker);
console.log(await woken);
const stopped = next();
worker.postMessage('stop');
console.log(await stopped);
console.log(`exit ${await new Promise((resolve) => worker.once('exit', resolve))}`);
