/** What single fields cannot tell: combinations that cannot work, or would measure something else than they say. */
import type { Scenario, SizeSpec } from './spec.ts';

export type Report = (path: (string | number)[], text: string) => void;

/** Longest key of the memcached protocols. */
const MEMCACHED_MAX_KEY = 250;
/** memcached's item limit unless -I raises it, less the item's header and some room for the key. */
const MEMCACHED_MAX_VALUE = 1024 ** 2 - 512;
/** memcached reads a longer time to live as a date. */
const MEMCACHED_MAX_TTL = 30 * 86_400;
/** Below this share of a distribution nothing can be drawn by inversion in double precision. */
const MIN_MASS = 1e-12;

const hasEngine = (scenario: Scenario, engine: string): boolean => scenario.targets.some((t) => t.engine === engine);

export function maxValueBytes(size: SizeSpec): number {
  switch (size.kind) {
    case 'fixed':
      return size.bytes;
    case 'list':
      return Math.max(...size.entries.map((entry) => entry.bytes));
    default:
      return size.max;
  }
}

function checkKeys(scenario: Scenario, report: Report): void {
  const { keys, keyPrefix, keyBytes } = scenario.dataset;
  const prefix = new TextEncoder().encode(keyPrefix).length;
  // A mix of incr and other operations numbers its counters after the keys.
  const counters = scenario.mix.some((m) => m.operation === 'incr') && scenario.mix.length > 1;
  const digits = String((counters ? 2 * keys : keys) - 1).length;
  if (keyBytes !== 0 && keyBytes < prefix + digits) {
    const need = prefix + digits;
    report(
      ['dataset', 'keyBytes'],
      `is ${keyBytes}, but prefix and number need ${need}: raise it, or shorten keyPrefix`,
    );
  }
  const longest = Math.max(keyBytes, prefix + digits);
  if (longest > MEMCACHED_MAX_KEY && hasEngine(scenario, 'memcached')) {
    const at = keyBytes > MEMCACHED_MAX_KEY ? 'keyBytes' : 'keyPrefix';
    report(['dataset', at], `gives keys of ${longest} bytes, but memcached takes at most ${MEMCACHED_MAX_KEY}`);
  }
}

/** The share of a generalised Pareto distribution above x. */
function paretoTail(size: SizeSpec & { kind: 'generalized-pareto' }, x: number): number {
  const z = (x - size.location) / size.scale;
  if (z <= 0) return 1;
  return size.shape === 0 ? Math.exp(-z) : Math.max(0, 1 + size.shape * z) ** (-1 / size.shape);
}

function sizeIsEmpty(size: SizeSpec): boolean {
  if (size.kind === 'generalized-pareto') {
    return paretoTail(size, size.min) - paretoTail(size, size.max + 1) < MIN_MASS;
  }
  if (size.kind !== 'log-normal') return false;
  const z = (x: number): number => (Math.log(x) - Math.log(size.median)) / size.sigma;
  // Beyond six standard deviations less than 1e-9 is left.
  return z(Math.max(size.min, 1e-9)) > 6 || z(size.max + 1) < -6;
}

function checkSizes(scenario: Scenario, report: Report): void {
  const size = scenario.dataset.valueSize;
  const path = ['dataset', 'valueSize'];
  if ('min' in size && size.min > size.max) report([...path, 'min'], `is ${size.min} B, above max (${size.max} B)`);
  else if (sizeIsEmpty(size)) report(path, 'has no sizes between min and max: widen them');
  if (size.kind === 'list' && !size.entries.some((entry) => entry.weight > 0)) {
    report([...path, 'entries'], 'needs at least one weight above 0');
  }
  const largest = maxValueBytes(size);
  const limited = scenario.targets.find(
    (t) => t.engine === 'memcached' && t.kind !== 'remote' && !t.flags.some((f) => /^(-I|--max-item-size)/.test(f)),
  );
  if (largest > MEMCACHED_MAX_VALUE && limited !== undefined) {
    report(
      path,
      `reaches ${largest} B, but ${limited.id} takes items up to 1 MiB: stay below, or give it the flags ["-I", "8m"]`,
    );
  }
}

function checkTimes(scenario: Scenario, report: Report): void {
  const { ttl } = scenario;
  if (ttl.kind === 'uniform' && ttl.min > ttl.max) report(['ttl', 'min'], `is ${ttl.min} s, above max (${ttl.max} s)`);
  if (ttl.kind === 'list' && !ttl.entries.some((entry) => entry.weight > 0)) {
    report(['ttl', 'entries'], 'needs at least one weight above 0');
  }
  const longest =
    ttl.kind === 'fixed'
      ? ttl.seconds
      : ttl.kind === 'uniform'
        ? ttl.max
        : ttl.kind === 'list'
          ? Math.max(...ttl.entries.map((entry) => entry.seconds))
          : 0;
  if (longest > MEMCACHED_MAX_TTL && hasEngine(scenario, 'memcached')) {
    report(['ttl'], 'is longer than 30 days, which memcached would read as a date: shorten it');
  }
  const origin = scenario.cacheAside?.originLatency;
  if (origin !== undefined && 'min' in origin && origin.min > origin.max) {
    report(['cacheAside', 'originLatency', 'min'], `is ${origin.min} ms, above max (${origin.max} ms)`);
  } else if (origin?.kind === 'log-normal') {
    const z = (x: number): number => (x <= 0 ? -9 : Math.log(x / origin.median) / origin.sigma);
    if (z(origin.min) > 6 || z(origin.max) < -6) {
      report(['cacheAside', 'originLatency'], 'has no times between min and max: widen them');
    }
  }
  if (scenario.intervalMs > scenario.durationS * 1000) {
    report(['interval'], 'is longer than the duration: a time series needs at least one interval');
  }
}

function checkMix(scenario: Scenario, report: Report): void {
  const used = scenario.mix.filter((entry) => entry.weight > 0).map((entry) => entry.operation);
  if (used.length === 0) report(['mix'], 'needs at least one operation with a weight above 0');
  if (used.includes('touch') && scenario.ttl.kind === 'none') {
    report(['mix', 'touch'], 'sets a time to live, but ttl is none: give ttl, or leave touch out');
  }
  if (used.includes('append') && !used.includes('set')) {
    report(['mix', 'append'], 'makes values longer for ever: add set to the mix, which makes them short again');
  }
  if ((used.includes('mget') || used.includes('mset')) && scenario.multiKey > scenario.dataset.keys) {
    report(['multiKey'], `is ${scenario.multiKey}, more than the ${scenario.dataset.keys} keys there are`);
  }
  if (scenario.cacheAside !== null && !used.includes('get')) {
    report(['cacheAside'], 'fills gets that miss, but the mix has no get');
  }
}

function checkLoad(scenario: Scenario, report: Report): void {
  if (scenario.threads > scenario.connections) {
    report(['threads'], `is ${scenario.threads}, more than the ${scenario.connections} connections they share`);
  }
  if (scenario.pipeline > 1 && scenario.arrival.kind === 'open') {
    report(
      ['pipeline'],
      'says how many operations wait together in the closed loop; in the open loop arrival alone decides: leave it out, or use "arrival: closed"',
    );
  }
  const other = { raw: null, ioredis: 'memcached', memjs: 'redis' }[scenario.driver];
  const foreign = scenario.targets.find((target) => target.engine === other);
  if (foreign !== undefined) {
    report(
      ['driver'],
      `is ${scenario.driver}, which cannot speak with ${foreign.id} (${foreign.engine}): use raw, or leave that target out`,
    );
  }
}

/** Fields that a scenario of fan-out does not read; one that is set anyway would mislead. */
const WITHOUT_MEANING_FOR_FANOUT = [
  'popularity',
  'mix',
  'ttl',
  'pipeline',
  'multiKey',
  'arrival',
  'cacheAside',
  'operations',
] as const;

function checkFanout(scenario: Scenario, written: Record<string, unknown>, report: Report): void {
  if (scenario.kind !== 'pubsub-fanout') {
    if (scenario.fanout !== null) report(['fanout'], 'belongs to "kind: pubsub-fanout": add that, or leave fanout out');
    return;
  }
  for (const field of WITHOUT_MEANING_FOR_FANOUT) {
    if (Object.hasOwn(written, field)) report([field], 'has no meaning for pubsub-fanout: remove it');
  }
  if (scenario.driver !== 'raw') report(['driver'], `is ${scenario.driver}, but pubsub-fanout needs raw`);
  const fanout = scenario.fanout;
  if (fanout !== null && fanout.channels > fanout.subscribers) {
    report(
      ['fanout', 'channels'],
      `is ${fanout.channels}, more than the ${fanout.subscribers} subscribers that share them`,
    );
  }
}

function checkPersistence(scenario: Scenario, report: Report): void {
  if (scenario.persistence === null) return;
  const other = scenario.targets.find((target) => target.engine !== 'redis');
  if (other !== undefined) {
    report(['persistence'], `asks for files, but ${other.id} (memcached) keeps none: leave it or that target out`);
  }
  const remote = scenario.targets.find((target) => target.kind === 'remote');
  if (remote !== undefined) {
    report(['persistence'], `can only be set for servers that the run starts, and ${remote.id} is elsewhere`);
  }
  if (scenario.kind === 'pubsub-fanout') report(['persistence'], 'has no meaning for pubsub-fanout: remove it');
}

function checkTargets(scenario: Scenario, report: Report): void {
  const seen = new Set<string>();
  scenario.targets.forEach((target, i) => {
    if (seen.has(target.id)) {
      report(['targets', i], `has the id ${target.id}, as another target has: give it an id of its own`);
    }
    seen.add(target.id);
  });
}

/**
 * Reports every impossible combination of a scenario's fields.
 * @param written the file's map, to tell what was set from what is a default
 */
export function checkCombinations(scenario: Scenario, written: Record<string, unknown>, report: Report): void {
  checkTargets(scenario, report);
  if (scenario.memory.limitBytes > 0 && scenario.memory.limitShare > 0) {
    report(['memory', 'limitShare'], 'and limit cannot both be given: choose one');
  }
  checkFanout(scenario, written, report);
  checkPersistence(scenario, report);
  checkTimes(scenario, report);
  if (scenario.kind === 'pubsub-fanout') return;
  checkKeys(scenario, report);
  checkSizes(scenario, report);
  checkMix(scenario, report);
  checkLoad(scenario, report);
}
