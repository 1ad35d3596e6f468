/** BullMQ, a job queue that lives in Lua scripts over every data type. */
import { FlowProducer, type Job, Queue, QueueEvents, type QueueOptions, UnrecoverableError, Worker } from 'bullmq';
import { afterEach, expect, it } from 'vitest';
import { until } from '../support/wait.ts';
import { onBothServers } from './servers.ts';

interface Closable {
  close(): Promise<unknown>;
}

onBothServers('BullMQ', (server) => {
  let open: Closable[] = [];
  let counter = 0;

  afterEach(async () => {
    // Workers first: they wait for jobs of the queues.
    for (const one of open.reverse()) await one.close();
    open = [];
  });

  const keep = <T extends Closable>(one: T): T => {
    open.push(one);
    return one;
  };
  const connection = () => ({ connection: { path: server().socket, maxRetriesPerRequest: null } });

  function queue(options: Partial<QueueOptions> = {}): Queue {
    return keep(new Queue(`jobs-${counter++}`, { ...connection(), ...options }));
  }

  async function worker(
    of: Queue,
    work: (job: Job, token?: string) => Promise<unknown>,
    options = {},
  ): Promise<Worker> {
    const made = keep(new Worker(of.name, work, { ...connection(), ...options }));
    // A failing job is the job's business.
    made.on('error', () => {});
    await made.waitUntilReady();
    return made;
  }

  async function events(of: Queue): Promise<QueueEvents> {
    const made = keep(new QueueEvents(of.name, connection()));
    await made.waitUntilReady();
    return made;
  }

  it('adds jobs and processes them in order, with their results', async () => {
    const jobs = queue();
    const done = await events(jobs);
    const added = await jobs.addBulk(Array.from({ length: 20 }, (_, i) => ({ name: 'add', data: { a: i, b: 1 } })));
    const order: number[] = [];
    await worker(jobs, async (job) => {
      order.push(job.data.a);
      await job.updateProgress(50);
      await job.log(`adding ${job.data.a}`);
      return job.data.a + job.data.b;
    });
    const results = await Promise.all(added.map((job) => job.waitUntilFinished(done)));
    expect(results).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect(await jobs.getJobCounts()).toMatchObject({ completed: 20, failed: 0, waiting: 0, active: 0 });
    const first = await jobs.getJob(added[0]!.id!);
    expect(first).toMatchObject({ progress: 50, returnvalue: 1, attemptsMade: 1 });
    expect((await jobs.getJobLogs(added[0]!.id!)).logs).toEqual(['adding 0']);
  });

  it('delays jobs, and promotes one before its time', async () => {
    const jobs = queue();
    const done = await events(jobs);
    const started = Date.now();
    const soon = await jobs.add('soon', {}, { delay: 300 });
    const later = await jobs.add('later', {}, { delay: 60_000 });
    expect(await jobs.getDelayedCount()).toBe(2);
    await worker(jobs, async () => Date.now());
    expect(await soon.waitUntilFinished(done)).toBeGreaterThanOrEqual(started + 300);
    await later.promote();
    expect(await later.waitUntilFinished(done)).toBeLessThan(started + 30_000);
  });

  it('takes jobs of a higher priority first, and last in first out when asked to', async () => {
    const jobs = queue();
    const done = await events(jobs);
    const added = [
      await jobs.add('c', {}, { priority: 10 }),
      await jobs.add('b', {}, { priority: 2 }),
      await jobs.add('d', {}, { priority: 10 }),
      await jobs.add('a2', {}),
      await jobs.add('a1', {}, { lifo: true }),
    ];
    expect(await jobs.getCountsPerPriority([0, 2, 10])).toEqual({ 0: 2, 2: 1, 10: 2 });
    const order: string[] = [];
    await worker(jobs, async (job) => order.push(job.name));
    await Promise.all(added.map((job) => job.waitUntilFinished(done)));
    expect(order).toEqual(['a1', 'a2', 'b', 'c', 'd']);
  });

  it('tries failed jobs again with a growing pause, and gives up when that is over', async () => {
    const jobs = queue();
    const done = await events(jobs);
    const tries: number[] = [];
    await worker(jobs, async (job) => {
      tries.push(Date.now());
      if (job.name === 'hopeless') throw new UnrecoverableError('never');
      if (job.attemptsMade < 2) throw new Error(`attempt ${job.attemptsMade}`);
      return 'at last';
    });
    const job = await jobs.add('stubborn', {}, { attempts: 3, backoff: { type: 'exponential', delay: 100 } });
    expect(await job.waitUntilFinished(done)).toBe('at last');
    expect(tries).toHaveLength(3);
    expect(tries[2]! - tries[1]!).toBeGreaterThanOrEqual(180);
    const hopeless = await jobs.add('hopeless', {}, { attempts: 5 });
    await expect(hopeless.waitUntilFinished(done)).rejects.toThrow('never');
    expect(await jobs.getFailedCount()).toBe(1);
    const [failed] = await jobs.getFailed();
    expect(failed).toMatchObject({ failedReason: 'never', attemptsMade: 1 });
    await failed!.remove();
    expect(await jobs.getFailedCount()).toBe(0);
  });

  it('repeats jobs by schedulers, at intervals and by clock patterns', async () => {
    const jobs = queue();
    const runs: string[] = [];
    await worker(jobs, async (job) => runs.push(job.name));
    await jobs.upsertJobScheduler('ticks', { every: 150 }, { name: 'tick', data: { x: 1 } });
    await jobs.upsertJobScheduler('nightly', { pattern: '0 0 3 * * *' }, { name: 'night' });
    await until('three ticks', () => runs.filter((name) => name === 'tick').length >= 3);
    expect(await jobs.getJobSchedulersCount()).toBe(2);
    const [nightly] = (await jobs.getJobSchedulers()).filter((one) => one.key === 'nightly');
    expect(nightly!.next).toBeGreaterThan(Date.now());
    expect(await jobs.removeJobScheduler('ticks')).toBe(true);
    expect(await jobs.getJobSchedulersCount()).toBe(1);
    const after = runs.length;
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(runs.length).toBeLessThanOrEqual(after + 1);
  });

  it('limits a rate, works in parallel, pauses and goes on', async () => {
    const jobs = queue();
    const done = await events(jobs);
    await jobs.pause();
    const added = await jobs.addBulk(Array.from({ length: 6 }, (_, i) => ({ name: 'limited', data: { i } })));
    let running = 0;
    let most = 0;
    const started = Date.now();
    await worker(
      jobs,
      async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 30));
        running--;
      },
      { concurrency: 3, limiter: { max: 3, duration: 400 } },
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(most).toBe(0);
    await jobs.resume();
    await Promise.all(added.map((job) => job.waitUntilFinished(done)));
    expect(most).toBeGreaterThan(1);
    expect(Date.now() - started).toBeGreaterThan(400);
  });

  it('runs the children of a flow before their parent', async () => {
    const jobs = queue();
    const done = await events(jobs);
    const flows = keep(new FlowProducer(connection()));
    const tree = await flows.add({
      name: 'sum',
      queueName: jobs.name,
      children: [1, 2, 3].map((n) => ({ name: 'part', data: { n }, queueName: jobs.name })),
    });
    await worker(jobs, async (job) => {
      if (job.name === 'part') return job.data.n * 10;
      return Object.values(await job.getChildrenValues<number>()).reduce((a, b) => a + b, 0);
    });
    expect(await tree.job.waitUntilFinished(done)).toBe(60);
  });

  it('takes back the jobs of a worker that died, and cleans up', async () => {
    const jobs = queue();
    const done = await events(jobs);
    const dead = await worker(jobs, () => new Promise(() => {}), {
      lockDuration: 200,
      stalledInterval: 200,
      skipLockRenewal: true,
    });
    const job = await jobs.add('orphan', {});
    await until('the job is active', async () => (await jobs.getActiveCount()) === 1);
    await dead.close(true);
    open = open.filter((one) => one !== dead);
    await worker(jobs, async () => 'adopted', { stalledInterval: 200, lockDuration: 1_000 });
    expect(await job.waitUntilFinished(done)).toBe('adopted');
    await jobs.add('once', {}, { jobId: 'same' });
    await jobs.add('once', {}, { jobId: 'same' });
    await until('both are done', async () => (await jobs.getCompletedCount()) === 2);
    expect((await jobs.clean(0, 100, 'completed')).length).toBe(2);
    await jobs.obliterate({ force: true });
    expect(await jobs.getJobCounts()).toMatchObject({ completed: 0, waiting: 0 });
  });
});
