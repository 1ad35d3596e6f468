/**
 * The fields of a scenario file as a zod schema: names, units, ranges, defaults. Each field's description is what editors show.
 * Combinations of fields are checked in checks.ts, short forms are spread out in short-forms.ts.
 */
import { z } from 'zod';
import { type Quantity, readBytes, readCount, readMilliseconds, readRate, readSeconds, readShare } from './units.ts';

interface Range {
  min?: number;
  max?: number;
  whole?: boolean;
  /** Excludes min itself. */
  above?: boolean;
}

/** @param show a bound as it is written in a scenario */
function outside(value: number, range: Range, show: (bound: number) => string = String): string | null {
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = range;
  if (value < min || (range.above && value === min))
    return `must be ${range.above ? 'above' : 'at least'} ${show(min)}`;
  if (value > max) return `must be at most ${show(max)}`;
  return range.whole && !Number.isInteger(value) ? 'must be a whole number' : null;
}

/** A field that is written with a unit and read as a number. */
function quantity(
  reader: (value: string | number) => Quantity,
  what: string,
  examples: (string | number)[],
  range: Range,
  show?: (bound: number) => string,
) {
  return z
    .union([z.number(), z.string()], { error: `must be ${what} such as ${examples.join(', ')}` })
    .transform((written, context) => {
      const value = reader(written);
      const error = typeof value === 'number' ? outside(value, range, show) : value.error;
      if (typeof value === 'number' && error === null) return value;
      context.addIssue({ code: 'custom', message: error ?? '' });
      return z.NEVER;
    })
    .meta({ examples });
}

const MAX_VALUE = 512 * 1024 ** 2;
const DAY = 86_400;

/** Seconds with the largest unit that leaves a whole number: "50ms", "7d". */
function durationText(value: number): string {
  const units: [string, number][] = [
    ['d', DAY],
    ['h', 3_600],
    ['min', 60],
    ['s', 1],
  ];
  const [unit, size] = units.find(([, one]) => value >= one && value % one === 0) ?? ['ms', 1e-3];
  return `${Math.round(value / size)}${unit}`;
}

const bytes = (range: Range) => quantity(readBytes, 'a size', ['100 B', '64 KiB', 4096], { max: MAX_VALUE, ...range });
const seconds = (range: Range) => quantity(readSeconds, 'a duration', ['10s', '250ms', '5min'], range, durationText);
const milliseconds = (range: Range) =>
  quantity(readMilliseconds, 'a duration', ['5ms', '500us', '1s'], range, (ms) => durationText(ms / 1_000));
const rate = () => quantity(readRate, 'a rate', ['5000/s', '20k/s'], { min: 0, above: true, max: 1e8 });
const share = (range: Range) => quantity(readShare, 'a share', ['50%', 0.5], { min: 0, max: 1, ...range });
const count = (range: Range) => quantity(readCount, 'a number', [100_000, '100k', '1M'], { whole: true, ...range });
const weight = () => quantity(readShare, 'a weight', ['90%', 9], { min: 0, max: 1e9 });
const number = (range: Range) =>
  z.number().superRefine((value, context) => {
    const error = outside(value, range);
    if (error !== null) context.addIssue({ code: 'custom', message: error });
  });

/** Separates the names in the message of an unknown field, which only the reader of this schema sees (schema.ts words it anew). */
export const NAME_SEPARATOR = '|';

/** A map that refuses unknown fields and tells the known ones. */
function map<S extends z.core.$ZodLooseShape>(shape: S) {
  const known = Object.keys(shape).join(NAME_SEPARATOR);
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? known : undefined),
  });
}

/** A map whose field `kind` says what further fields it has. */
function byKind<T extends readonly [z.core.$ZodTypeDiscriminable, ...z.core.$ZodTypeDiscriminable[]]>(
  options: T,
  kinds: string,
) {
  return z.discriminatedUnion('kind', options, {
    error: (issue) => (issue.code === 'invalid_union' ? `must be one of ${kinds}` : undefined),
  });
}

/** Adds a short form to what editors accept. The reader itself meets long forms only. */
function orShort<T extends z.ZodType>(long: T, forEditors: boolean, pattern: string): T {
  const text = z.union([z.string(), z.number(), z.boolean()]).meta({ description: `Short form: ${pattern}` });
  return (forEditors ? z.union([text, long]) : long) as unknown as T;
}

const kind = <K extends string>(name: K) => z.literal(name);
const entries = <T extends z.ZodType>(entry: T) => z.array(entry).min(1, 'must have at least one entry').max(1000);

const valueSize = byKind(
  [
    map({ kind: kind('fixed'), bytes: bytes({ min: 0 }) }),
    map({ kind: kind('uniform'), min: bytes({ min: 0 }), max: bytes({ min: 0 }) }),
    map({ kind: kind('list'), entries: entries(map({ bytes: bytes({ min: 0 }), weight: weight() })) }),
    map({
      kind: kind('log-normal'),
      median: bytes({ min: 1 }),
      sigma: number({ min: 0.001, max: 10 }),
      min: bytes({ min: 0 }).prefault(1),
      max: bytes({ min: 0 }).prefault(1_000_000),
    }),
    map({
      kind: kind('generalized-pareto'),
      location: number({ min: -1e9, max: 1e9 }).default(0),
      scale: number({ min: 0.001, max: 1e9 }),
      shape: number({ min: -5, max: 5 }),
      min: bytes({ min: 0 }).prefault(1),
      max: bytes({ min: 0 }).prefault(1_000_000),
    }),
  ],
  'fixed, uniform, list, log-normal, generalized-pareto',
);

const exponent = () => number({ min: 0, max: 10 });

const popularity = byKind(
  [
    map({ kind: kind('uniform') }),
    map({ kind: kind('zipf'), exponent: exponent() }),
    map({ kind: kind('gaussian'), mean: share({}), deviation: share({ min: 0, above: true, max: 10 }) }),
    map({ kind: kind('hotspot'), keys: share({ above: true }), operations: share({}) }),
    map({ kind: kind('latest'), exponent: exponent() }),
    map({ kind: kind('sequential') }),
  ],
  'uniform, zipf, gaussian, hotspot, latest, sequential',
);

const ttlSeconds = () => seconds({ min: 1, max: 3650 * DAY, whole: true });

const ttl = byKind(
  [
    map({ kind: kind('none') }),
    map({ kind: kind('fixed'), seconds: ttlSeconds() }),
    map({ kind: kind('uniform'), min: ttlSeconds(), max: ttlSeconds() }),
    map({ kind: kind('list'), entries: entries(map({ seconds: ttlSeconds(), weight: weight() })) }),
  ],
  'none, fixed, uniform, list',
);

const originMs = (range: Range = {}) => milliseconds({ min: 0, max: 60_000, ...range });

const originLatency = byKind(
  [
    map({ kind: kind('none') }),
    map({ kind: kind('fixed'), ms: originMs() }),
    map({ kind: kind('uniform'), min: originMs(), max: originMs() }),
    map({ kind: kind('exponential'), mean: originMs() }),
    map({
      kind: kind('log-normal'),
      median: originMs({ above: true }),
      sigma: number({ min: 0.001, max: 10 }),
      min: originMs().prefault(0),
      max: originMs().prefault('60s'),
    }),
  ],
  'none, fixed, uniform, exponential, log-normal',
);

const arrival = byKind(
  [
    map({ kind: kind('closed') }),
    map({ kind: kind('open'), process: z.enum(['constant', 'poisson']).default('constant'), rate: rate() }),
  ],
  'closed, open',
);

export const POLICIES = [
  'noeviction',
  'allkeys-lru',
  'allkeys-lfu',
  'allkeys-random',
  'volatile-lru',
  'volatile-lfu',
  'volatile-random',
  'volatile-ttl',
] as const;

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const name = () =>
  z.string().regex(NAME, 'must be 1 to 64 letters, digits, ".", "_" or "-", beginning with a letter or digit');
const text = (max: number) => z.string().max(max, `must have at most ${max} characters`);

export const targetMap = map({
  id: name().optional().describe('Unique name in results. Default: engine and kind'),
  label: text(80).optional().describe('Shown in reports'),
  engine: z
    .enum(['redis', 'memcached'])
    .optional()
    .describe('Which protocol it speaks; a redis:// or memcached:// URL says it too'),
  kind: z
    .enum(['embedded', 'spawned', 'remote'])
    .optional()
    .describe(
      'embedded: the engine of this project; spawned: a real server started for the run; remote: a server elsewhere',
    ),
  binary: text(4096).optional().describe('spawned: path or name of the program'),
  flags: z
    .array(z.union([z.string(), z.number()], { error: 'must be a text' }).transform(String))
    .max(200)
    .optional()
    .describe('Further command-line flags of a server that is started'),
  url: text(4096)
    .optional()
    .describe(
      'remote: redis://, rediss://, memcached:// or unix:/path. $' +
        '{NAME} is replaced by an environment variable: passwords do not belong into files',
    ),
  optional: z.boolean().optional().describe('Left out with a note, instead of failing, when its program is not there'),
  eventLoop: z.enum(['auto', 'epoll', 'libuv']).optional().describe('embedded: which event loop'),
  socket: z.enum(['tcp', 'unix']).optional().describe('How a server that is started is reached'),
});

export type TargetMap = z.output<typeof targetMap>;

const weights = map({
  get: weight().optional(),
  set: weight().optional(),
  add: weight().optional(),
  replace: weight().optional(),
  append: weight().optional(),
  delete: weight().optional(),
  touch: weight().optional(),
  incr: weight().optional(),
  mget: weight().optional(),
  mset: weight().optional(),
});

const scalar = z.union([z.string(), z.number(), z.boolean()], {
  error: 'must be a text, a number, true or false (use a short form such as "zipf 0.99" for what is a map elsewhere)',
});

const dataset = (forEditors: boolean) =>
  map({
    keys: count({ min: 1, max: 2 ** 31 })
      .prefault(100_000)
      .describe('Number of keys'),
    keyPrefix: z
      .string()
      .regex(/^[^\s\p{Cc}]*$/u, 'must not contain blanks or control characters')
      .max(200)
      .default('key:')
      .describe('Text before the number of each key'),
    keyBytes: bytes({ min: 0, max: 65_535 })
      .prefault(16)
      .describe('Length of each key in bytes (prefix and zero-padded number); 0: as short as it comes'),
    valueSize: orShort(valueSize, forEditors, '100 B | 64 B..4 KiB | etc')
      .prefault({ kind: 'fixed', bytes: 100 })
      .describe('Size of each value; "etc" is the published distribution of Facebook\'s general-purpose cache'),
    preload: share({}).prefault(1).describe('Share of the keys stored before the run, the most popular first'),
  });

const memory = map({
  limit: z
    .union([z.literal('none'), bytes({ min: 1, max: 2 ** 50 })], { error: 'must be a size such as 100 MiB, or none' })
    .prefault('none')
    .describe('Memory limit of the server'),
  limitShare: z
    .union([z.literal('none'), share({ min: 0, above: true, max: 1000 })], {
      error: 'must be a share such as 50%, or none',
    })
    .prefault('none')
    .describe("Memory limit as a share of the data set's payload (keys and values)"),
  policy: z
    .enum(POLICIES)
    .default('allkeys-lru')
    .describe('Redis maxmemory-policy; memcached: noeviction means -M, all others its LRU'),
  samples: count({ min: 1, max: 64 }).prefault(5).describe('Redis maxmemory-samples'),
});

const fanout = map({
  subscribers: count({ min: 1, max: 20_000 })
    .prefault(10)
    .describe('Subscribers of each channel together: every message goes to all of its channel'),
  channels: count({ min: 1, max: 10_000 }).prefault(1),
  messageBytes: bytes({ min: 16, max: 1024 ** 2 })
    .prefault(100)
    .describe('Length of a message; at least 16 B for sequence and time'),
  rate: rate().prefault('100/s').describe('Messages published per second over all channels'),
  pollInterval: milliseconds({ min: 1, max: 60_000 })
    .prefault('10ms')
    .describe('memcached has no pub/sub: each subscriber asks for the newest message this often'),
});

export const PERSISTENCE_MODES = ['none', 'rdb', 'aof-no', 'aof-everysec', 'aof-always', 'aof-rdb'] as const;

const persistence = map({
  mode: z
    .enum(PERSISTENCE_MODES)
    .default('none')
    .describe(
      'none; rdb: snapshots; aof-no, aof-everysec, aof-always: an append-only file with that appendfsync; aof-rdb: everysec and snapshots',
    ),
  snapshotEvery: seconds({ min: 0, max: DAY })
    .prefault('2s')
    .describe('A snapshot (rdb) or a rewrite (aof) is begun this often during the measured phase; 0s: never'),
  crash: z
    .boolean()
    .default(true)
    .describe(
      'Kill the server amid writes after the measured phase, start it again and count acknowledged writes lost',
    ),
});

/**
 * @param forEditors true: with the short forms, for the JSON Schema; false: for reading, after they were spread out
 */
export function scenarioFile(forEditors: boolean) {
  return map({
    name: name().optional().describe('Name in results. Default: the name of the file'),
    title: text(120).optional().describe('Headline of the report'),
    question: text(2000).default('').describe('What the reader wants to know, in a sentence or two'),
    kind: z
      .enum(['load', 'pubsub-fanout'])
      .default('load')
      .describe('load: operations on keys; pubsub-fanout: messages to subscribers'),
    targets: z
      .array(z.union([z.string(), targetMap]))
      .min(1, 'must have at least one target')
      .max(50)
      .default(['embedded-redis', 'embedded-memcached', 'redis', 'memcached'])
      .describe(
        'What is measured: embedded-redis, embedded-memcached, redis, memcached (real servers, if installed), a URL, or a map',
      ),
    dataset: dataset(forEditors).prefault({}),
    popularity: orShort(
      popularity,
      forEditors,
      'uniform | sequential | zipf 0.99 | latest 0.99 | gaussian 50% 10% | hotspot 20% 80%',
    )
      .prefault({ kind: 'zipf', exponent: 0.99 })
      .describe('Which key an operation takes'),
    mix: orShort(weights, forEditors, '20% set')
      .prefault({ get: '90%', set: '10%' })
      .describe('Weights of the operations; they need not add up to 100%'),
    ttl: orShort(ttl, forEditors, 'none | 60s | 1min..10min')
      .prefault({ kind: 'none' })
      .describe('Time to live of stored values, in whole seconds'),
    pipeline: count({ min: 1, max: 10_000 })
      .prefault(1)
      .describe('Operations in flight per connection in the closed loop'),
    multiKey: count({ min: 1, max: 10_000 }).prefault(10).describe('Keys of one mget or mset'),
    connections: count({ min: 1, max: 20_000 }).prefault(50),
    threads: count({ min: 1, max: 64 }).prefault(1).describe('Driver threads'),
    driver: z
      .enum(['raw', 'ioredis', 'memjs'])
      .default('raw')
      .describe('raw: the protocol itself; ioredis and memjs: the client libraries'),
    memcachedProtocol: z
      .enum(['ascii', 'binary'])
      .default('ascii')
      .describe('What the raw driver speaks with memcached'),
    arrival: orShort(arrival, forEditors, 'closed | constant 5000/s | poisson 5000/s')
      .prefault({ kind: 'closed' })
      .describe('closed: send when answered; constant, poisson: send when due, whatever the server does'),
    memory: memory.prefault({}),
    persistence: persistence
      .nullable()
      .default(null)
      .describe('What servers started for the run keep on disk (Redis only)'),
    cacheAside: orShort(
      map({
        originLatency: orShort(originLatency, forEditors, 'none | 5ms | 1ms..20ms | exponential 5ms').prefault({
          kind: 'none',
        }),
      }).nullable(),
      forEditors,
      'true | false',
    )
      .default(null)
      .describe('A get that misses is filled by a set, after the latency of the origin behind the cache'),
    fanout: fanout.nullable().default(null).describe('pubsub-fanout only'),
    warmUp: seconds({ min: 0, max: DAY }).prefault('2s').describe('Time before the measured phase'),
    duration: seconds({ min: 0.05, max: 7 * DAY })
      .prefault('10s')
      .describe('Length of the measured phase'),
    operations: count({ min: 0, max: 1e15 })
      .prefault(0)
      .describe('Ends the measured phase early after so many; 0: by time only'),
    repetitions: count({ min: 1, max: 1000 }).prefault(3),
    seed: z
      .union([z.string().max(200), z.number().int()], { error: 'must be a text or a whole number' })
      .transform(String)
      .prefault('cachelab')
      .describe('Every random choice follows from it'),
    verify: share({}).prefault('1%').describe('Share of the answers whose value is checked'),
    interval: milliseconds({ min: 10, max: 3_600_000 }).prefault('1s').describe('Interval of the time series'),
    matrix: z
      .record(z.string().max(200), z.array(scalar).min(1, 'must list at least one value').max(1000), {
        error: 'must be a map of fields, each with a list of values, such as "memory.limitShare: [10%, 50%]"',
      })
      .default({})
      .describe('Dotted fields with lists of values: the run is the product'),
  });
}

export type ScenarioFile = z.output<ReturnType<typeof scenarioFile>>;
