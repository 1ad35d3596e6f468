/** Entry of the thread that drives a load through a client library. */
import { workerData } from 'node:worker_threads';
import { createArrival } from '../arrival/arrival.ts';
import { Recorder } from '../measure/recorder.ts';
import { connectClient } from './cache-client.ts';
import { ClientDriver } from './client-driver.ts';
import { LoadControl } from './control.ts';
import type { ThreadOrder } from './messages.ts';
import { RECORDED_KINDS } from './raw-driver.ts';
import { ThreadReporter, workOf } from './thread-work.ts';

const order = workerData as ThreadOrder;
const { source, options } = workOf(order);
const scenario = order.scenario!;
const library = scenario.driver === 'memjs' ? 'memjs' : 'ioredis';
const arrival = createArrival(order.task.kind === 'load' ? scenario.arrival : { kind: 'closed' }, order.seed, order);
const reporter = new ThreadReporter(order);
const driver = new ClientDriver(
  () => connectClient(library, order.endpoint),
  source,
  arrival,
  new LoadControl(order.control),
  new Recorder(RECORDED_KINDS),
  options,
  reporter,
);
await driver.run();
reporter.done(driver);
