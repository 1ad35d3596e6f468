#!/usr/bin/env node
/**
 * `cachelab-memcached`: stands where a script starts the real memcached, and takes its command line as it is
 * (`cachelab-memcached -p 11300 -m 100`). It is `cachelab serve memcached` by another name: the server runs in this very process, so that its
 * process id, its signals and its exit code are the ones that the script meets.
 */
import { forgiveClosedPipes, leave } from './leave.ts';
import { serveAs } from './serve.ts';

forgiveClosedPipes();
await leave(await serveAs('memcached', process.argv.slice(2)));
