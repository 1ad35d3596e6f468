#!/usr/bin/env node
/**
 * `cachelab-redis-server`: stands where a script starts the real redis-server, and takes its command line as it is
 * (`cachelab-redis-server redis.conf --port 6400`). It is `cachelab serve redis` by another name: the server runs in this very process, so that its
 * process id, its signals and its exit code are the ones that the script meets.
 */
import { forgiveClosedPipes, leave } from './leave.ts';
import { serveAs } from './serve.ts';

forgiveClosedPipes();
await leave(await serveAs('redis', process.argv.slice(2)));
