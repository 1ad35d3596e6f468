/**
 * The configuration: values under their camel-case names (plain fields, so that hot code reads them cheaply), and how a
 * directive's words become a value and back. What the directives are stands in config-table.ts. Error texts are the original's,
 * because tools show and compare them.
 */
import {
  type ConfigValues,
  type Directive,
  type DirectiveName,
  directives,
  LLONG_MAX,
  type OutputBufferLimit,
  POLICY_CODES,
  type SavePoint,
} from './config-table.ts';

export type { ConfigValues, DirectiveName, OutputBufferLimit, OutputBufferLimits, SavePoint } from './config-table.ts';
export {
  POLICY_ALLKEYS_LFU,
  POLICY_ALLKEYS_LRU,
  POLICY_ALLKEYS_RANDOM,
  POLICY_FLAG_ALLKEYS,
  POLICY_FLAG_LFU,
  POLICY_FLAG_LRU,
  POLICY_FLAG_NO_SHARED_INTEGERS,
  POLICY_NO_EVICTION,
  POLICY_VOLATILE_LFU,
  POLICY_VOLATILE_LRU,
  POLICY_VOLATILE_RANDOM,
  POLICY_VOLATILE_TTL,
} from './config-table.ts';

/** What a core reads as its configuration. */
export type RedisConfig = ConfigValues;

type Field = keyof ConfigValues;
type AnyDirective = Directive<unknown>;

/** One name under which a setting can be asked for: its own, or its older one. */
export interface Setting {
  readonly name: string;
  /** The name in the table; differs from `name` for an alias. */
  readonly directive: DirectiveName;
  readonly field: Field;
  readonly about: AnyDirective;
}

const camel = (name: string): string => name.replace(/-(.)/g, (_, c: string) => c.toUpperCase());

function collectSettings(): ReadonlyMap<string, Setting> {
  const settings = new Map<string, Setting>();
  for (const directive of Object.keys(directives) as DirectiveName[]) {
    const about = directives[directive] as AnyDirective;
    const field = camel(directive) as Field;
    settings.set(directive, { name: directive, directive, field, about });
    if (about.alias !== null) settings.set(about.alias, { name: about.alias, directive, field, about });
  }
  return settings;
}

/** Every setting by every one of its names (lower case). */
export const settings: ReadonlyMap<string, Setting> = collectSettings();

/** @returns a fresh configuration with the defaults. */
export function defaultConfig(): RedisConfig {
  const values: Record<string, unknown> = {};
  for (const setting of settings.values()) values[setting.field] = setting.about.standard;
  // V8 keeps an object with so many fields as a hash table until it serves as a prototype; hot code reads some of these fields.
  void Object.create(values);
  return values as unknown as RedisConfig;
}

/** Reads a field without knowing its type. */
export function readSetting(config: RedisConfig, setting: Setting): unknown {
  return config[setting.field];
}

/** Stores a field without checking it; only values that `parseSetting` or `readSetting` returned. */
export function storeSetting(config: RedisConfig, setting: Setting, value: unknown): void {
  (config as Record<Field, unknown>)[setting.field] = value;
}

/** Either the value or the original's error text. */
export type Parsed =
  | { readonly value: unknown; readonly error: null }
  | { readonly value: null; readonly error: string };

const good = (value: unknown): Parsed => ({ value, error: null });
const bad = (error: string): Parsed => ({ value: null, error });

const memoryUnits: Record<string, number> = {
  '': 1,
  b: 1,
  k: 1000,
  kb: 1024,
  m: 1000 ** 2,
  mb: 1024 ** 2,
  g: 1000 ** 3,
  gb: 1024 ** 3,
};

/** "512mb" in bytes; null when it is none. Units as in redis.conf: k is 1000, kb is 1024. */
export function parseMemory(word: string): number | null {
  const match = /^(\d{1,20})([a-z]*)$/i.exec(word);
  const unit = match && memoryUnits[match[2]!.toLowerCase()];
  return match && unit !== undefined && unit !== null ? Number(match[1]) * unit : null;
}

/** An integer as strictly as the original reads one: no blanks, no plus, no leading zeros, 64 bits. */
export function parseInteger(word: string): number | null {
  if (!/^(0|-?[1-9]\d{0,18})$/.test(word)) return null;
  const exact = BigInt(word);
  return exact >= -(2n ** 63n) && exact < 2n ** 63n ? Number(exact) : null;
}

/** A bound in decimal; 2^63 and 2^64 stand for the largest integers below them. */
export function formatInteger(value: number): string {
  if (value >= LLONG_MAX * 2) return '18446744073709551615';
  if (value >= LLONG_MAX) return '9223372036854775807';
  return Number.isSafeInteger(value) ? String(value) : BigInt(value).toString();
}

function checkBounds(about: AnyDirective, value: number): Parsed {
  if (value >= about.min && value <= about.max) return good(value);
  const base = about.kind === 'octal' ? 8 : 10;
  const show = (n: number) => (base === 8 ? n.toString(8) : formatInteger(n));
  return bad(`argument must be between ${show(about.min)} and ${show(about.max)} inclusive`);
}

function parseNumber(about: AnyDirective, word: string): Parsed {
  if (about.kind === 'memory-percent' && /^\d+%$/.test(word)) {
    const percent = Number(word.slice(0, -1));
    return percent > 100 ? bad('percentage argument must be less or equal to 100') : good(-percent);
  }
  if (about.kind === 'memory' || about.kind === 'memory-percent') {
    const bytes = parseMemory(word);
    if (bytes !== null) return checkBounds(about, bytes);
    return bad(`argument must be a memory ${about.kind === 'memory' ? '' : 'or percent '}value`);
  }
  if (about.kind === 'octal') {
    return /^[0-7]+$/.test(word)
      ? checkBounds(about, Number.parseInt(word, 8))
      : bad("argument couldn't be parsed as an octal number");
  }
  const value = parseInteger(word);
  return value === null ? bad("argument couldn't be parsed into an integer") : checkBounds(about, value);
}

function parseFlagWords(about: AnyDirective, words: readonly string[]): Parsed {
  const chosen = words.map((word) => about.words.indexOf(word.toLowerCase()));
  if (chosen.length === 0 || chosen.includes(-1) || new Set(chosen).size !== chosen.length) return badWord(about);
  if (chosen.includes(about.words.indexOf('save')) && chosen.includes(about.words.indexOf('nosave'))) {
    return bad("shutdown options SAVE and NOSAVE can't be used simultaneously");
  }
  const names = about.words.filter((_, index) => chosen.includes(index));
  return good(names.length > 1 ? names.filter((name) => name !== 'default') : names);
}

const badWord = (about: AnyDirective): Parsed =>
  bad(`argument(s) must be one of the following: ${about.words.join(', ')}`);

function parseSave(words: readonly string[]): Parsed {
  if (words.length === 0 || (words.length === 1 && words[0] === '')) return good([]);
  if (words.length % 2 !== 0) return bad('Invalid save parameters');
  const points: SavePoint[] = [];
  for (let i = 0; i < words.length; i += 2) {
    const seconds = parseInteger(words[i]!);
    const changes = parseInteger(words[i + 1]!);
    if (seconds === null || changes === null || seconds < 1 || changes < 0) return bad('Invalid save parameters');
    points.push({ seconds, changes });
  }
  return good(points);
}

function parseBufferLimits(words: readonly string[], present: unknown): Parsed {
  if (words.length % 4 !== 0) {
    return bad('Wrong number of arguments in buffer limit configuration.');
  }
  const limits: Record<string, OutputBufferLimit> = { ...(present as Record<string, OutputBufferLimit>) };
  for (let i = 0; i < words.length; i += 4) {
    const given = words[i]!.toLowerCase();
    const name = given === 'replica' ? 'slave' : given;
    if (name !== 'normal' && name !== 'slave' && name !== 'pubsub') {
      return bad('Invalid client class specified in buffer limit configuration.');
    }
    const hardBytes = parseMemory(words[i + 1]!);
    const softBytes = parseMemory(words[i + 2]!);
    const softSeconds = /^\d+$/.test(words[i + 3]!) ? Number(words[i + 3]) : null;
    if (hardBytes === null || softBytes === null || softSeconds === null) {
      return bad('Error in hard, soft or soft_seconds setting in buffer limit configuration.');
    }
    limits[name] = { hardBytes, softBytes, softSeconds };
  }
  return good(limits);
}

/** Classes of keyspace events by the number of their bit (the NOTIFY_ constants); bit 12 has no letter. */
const eventLetters = 'KEg$lshzxetm\0dn';
/** What "A" stands for: everything but K, E, m and n. */
const allEvents = 0b10_0111_1111_1100;

function parseEvents(word: string): Parsed {
  let flags = 0;
  for (const c of word) {
    const bit = eventLetters.indexOf(c);
    if (c === 'A') flags |= allEvents;
    else if (bit >= 0 && c !== '\0') flags |= 1 << bit;
    else return bad("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
  }
  return good(flags);
}

function formatEvents(flags: number): string {
  const has = (letter: string) => (flags >> eventLetters.indexOf(letter)) & 1;
  let out = '';
  if ((flags & allEvents) === allEvents) out = 'A';
  else for (const c of 'g$lshzxetdn') if (has(c)) out += c;
  for (const c of 'KEm') if (has(c)) out += c;
  return out;
}

function parsePercentiles(words: readonly string[]): Parsed {
  if (words.length === 1 && words[0] === '') return good([]);
  const percentiles: number[] = [];
  for (const word of words) {
    if (!/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(word)) {
      return bad('Invalid latency-tracking-info-percentiles parameters');
    }
    const value = Number(word);
    if (!(value >= 0 && value <= 100)) {
      return bad('latency-tracking-info-percentiles parameters should sit between [0.0,100.0]');
    }
    percentiles.push(value);
  }
  return good(percentiles);
}

function parseOomValues(words: readonly string[]): Parsed {
  if (words.length !== 3) return bad('wrong number of arguments');
  const values = words.map(parseInteger);
  if (values.some((value) => value === null || value < -2000 || value > 2000)) {
    return bad('Invalid oom-score-adj-values, elements must be between -2000 and 2000.');
  }
  return good(values);
}

function parseReplicaOf(words: readonly string[]): Parsed {
  if (words.length !== 2) return bad('wrong number of arguments');
  if (words[0]!.toLowerCase() === 'no' && words[1]!.toLowerCase() === 'one') return good('');
  const port = parseInteger(words[1]!);
  if (port === null || port < 0 || port > 65_535) return bad('Invalid master port');
  return good(`${words[0]} ${port}`);
}

/** Variables that a process title may name, between braces. */
const titleVariables = [
  'title',
  'listen-addr',
  'server-mode',
  'port',
  'tls-port',
  'unixsocket',
  'config-file',
] as const;

function checkText(name: DirectiveName, word: string): string | null {
  if (name === 'dbfilename' || name === 'appendfilename' || name === 'appenddirname') {
    if (name !== 'dbfilename' && word === '') return `${name} can't be empty`;
    if (word.includes('/'))
      return `${name} can't be a path, just a ${name === 'appenddirname' ? 'dirname' : 'filename'}`;
  }
  if (name === 'proc-title-template') {
    const rest = word.replace(/\{([^}]*)\}/g, (all, variable) => (titleVariables.includes(variable) ? '' : all));
    if (rest.includes('{')) return 'template format is invalid or contains unknown variables';
  }
  if (name === 'cluster-announce-hostname' && !/^[A-Za-z0-9.-]*$/.test(word)) {
    return 'Hostnames may only contain alphanumeric characters, hyphens or dots';
  }
  return null;
}

function parseSpecial(setting: Setting, words: readonly string[], present: unknown): Parsed {
  switch (setting.directive) {
    case 'save':
      return parseSave(words);
    case 'client-output-buffer-limit':
      return parseBufferLimits(words, present);
    case 'oom-score-adj-values':
      return parseOomValues(words);
    case 'latency-tracking-info-percentiles':
      return parsePercentiles(words);
    case 'replicaof':
      return parseReplicaOf(words);
    case 'maxmemory-policy': {
      const index = words.length === 1 ? setting.about.words.indexOf(words[0]!.toLowerCase()) : -1;
      return index < 0 ? badWord(setting.about) : good(POLICY_CODES[index]);
    }
    case 'bind':
      if (words.length > 16) return bad('Too many bind addresses specified.');
      return good(words.length === 1 && words[0] === '' ? [] : [...words]);
    case 'notify-keyspace-events':
      return words.length === 1 ? parseEvents(words[0]!) : bad('wrong number of arguments');
    default:
      return words.length === 1 ? good(words[0]) : bad('wrong number of arguments');
  }
}

/**
 * Reads the words of a setting.
 * @param words one; any number only where the directive takes several
 * @param config the present values (client-output-buffer-limit changes only the classes it names)
 */
export function parseSetting(setting: Setting, words: readonly string[], config: RedisConfig): Parsed {
  const about = setting.about;
  if (!about.multi && words.length !== 1) return bad('wrong number of arguments');
  const word = words[0] ?? '';
  switch (about.kind) {
    case 'bool': {
      const lower = word.toLowerCase();
      return lower === 'yes' || lower === 'no' ? good(lower === 'yes') : bad("argument must be 'yes' or 'no'");
    }
    case 'enum': {
      const lower = word.toLowerCase();
      return about.words.includes(lower) ? good(lower) : badWord(about);
    }
    case 'flags':
      return parseFlagWords(about, words);
    case 'string': {
      const error = checkText(setting.directive, word);
      return error === null ? good(word) : bad(error);
    }
    case 'special':
      return parseSpecial(setting, words, readSetting(config, setting));
    default:
      return parseNumber(about, word);
  }
}

/** A percentile or another short number as C's %.Ng prints it without exponent. */
const shortNumber = (value: number): string => String(Number(value.toPrecision(8)));

function formatLimits(value: unknown): string {
  const limits = value as Record<string, OutputBufferLimit>;
  return ['normal', 'slave', 'pubsub']
    .map((name) => `${name} ${limits[name]!.hardBytes} ${limits[name]!.softBytes} ${limits[name]!.softSeconds}`)
    .join(' ');
}

/** @returns a setting as CONFIG GET prints it. */
export function formatSetting(setting: Setting, value: unknown): string {
  switch (setting.about.kind) {
    case 'bool':
      return value ? 'yes' : 'no';
    case 'integer':
    case 'memory':
      return formatInteger(value as number);
    case 'octal':
      return (value as number).toString(8);
    case 'memory-percent':
      return (value as number) < 0 ? `${-(value as number)}%` : formatInteger(value as number);
    case 'flags':
      return (value as string[]).join(' ');
    default:
      break;
  }
  switch (setting.directive) {
    case 'save':
      return (value as SavePoint[]).map((point) => `${point.seconds} ${point.changes}`).join(' ');
    case 'client-output-buffer-limit':
      return formatLimits(value);
    case 'latency-tracking-info-percentiles':
      return (value as number[]).map(shortNumber).join(' ');
    case 'oom-score-adj-values':
    case 'bind':
      return (value as readonly unknown[]).join(' ');
    case 'notify-keyspace-events':
      return formatEvents(value as number);
    case 'maxmemory-policy':
      return setting.about.words[POLICY_CODES.indexOf(value as number)]!;
    default:
      return value as string;
  }
}
