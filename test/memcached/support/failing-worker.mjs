/** Loaded first into every thread of a server: lets worker 1 fail, at its start or a while after. */
import { isMainThread, workerData } from 'node:worker_threads';

if (!isMainThread && workerData?.placement?.thread === 1) {
  const { EpollLoop } = await import(new URL('../../../dist/engines/io/epoll-loop.js', import.meta.url).href);
  const run = EpollLoop.prototype.run;
  EpollLoop.prototype.run = function fail() {
    if (process.env.CACHELAB_TEST_FAIL === 'start') throw new Error('made to fail');
    this.addTimer(300, () => {
      throw new Error('made to fail');
    });
    return run.call(this);
  };
}
