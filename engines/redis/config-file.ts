/**
 * redis.conf as text: reading it into a configuration, and writing a changed configuration back into the lines that a person wrote.
 * Reading files is the caller's business; a line is a latin1 string.
 */
import { checkUserLine } from './acl/acl-file.ts';
import {
  type DirectiveName,
  formatSetting,
  parseSetting,
  type RedisConfig,
  readSetting,
  type Setting,
  settings,
  storeSetting,
} from './config.ts';
import { quoteWord, splitWords } from './config-words.ts';

/** A line that cannot be accepted; printed as the original prints it, before it exits with 1. */
export class ConfigFileError extends Error {
  readonly lineNumber: number;
  readonly line: string;
  constructor(lineNumber: number, line: string, reason: string) {
    super(reason);
    this.name = 'ConfigFileError';
    this.lineNumber = lineNumber;
    this.line = line;
  }
}

/** What a configuration text said, beyond the values. */
export interface LoadedConfig {
  /** Directives that were named anywhere. */
  readonly named: Set<DirectiveName>;
  /** `rename-command`: old name in lower case to new name; empty: the command is gone. */
  readonly renames: Map<string, string>;
  /** `user` lines: name and rules. */
  readonly users: string[][];
  /** Lines that are accepted and not acted upon (loadmodule). */
  readonly ignored: string[];
}

export interface LoadOptions {
  /** Reads what an `include` line names: one text for each file. */
  readonly include: (path: string) => readonly string[];
  /** Why a value that is right in itself cannot be had here; null: it can. */
  readonly check?: (directive: DirectiveName, value: unknown) => string | null;
  /** Changes the working folder; null or why that cannot be done. */
  readonly changeFolder: (path: string) => string | null;
}

export const createLoadedConfig = (): LoadedConfig => ({
  named: new Set(),
  renames: new Map(),
  users: [],
  ignored: [],
});

const isTrimmed = /^[ \t\r\n]+|[ \t\r\n]+$/g;

/**
 * Reads a whole configuration text into `config`.
 * @throws ConfigFileError at the first line that is wrong
 */
export function loadConfigText(config: RedisConfig, text: string, options: LoadOptions, loaded: LoadedConfig): void {
  const lines = text.split('\n');
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!.replace(isTrimmed, '');
    if (line === '' || line.startsWith('#')) continue;
    const words = splitWords(line);
    if (words === null) throw new ConfigFileError(i + 1, line, 'Unbalanced quotes in configuration line');
    if (words.length === 0) continue;
    const error = loadLine(config, words, options, loaded);
    if (error !== null) throw new ConfigFileError(i + 1, line, error);
  }
}

/** Directives of earlier versions whose setting is gone; configurations in the wild still carry them. */
const goneDirectives: readonly string[] = [
  'list-max-ziplist-entries',
  'list-max-ziplist-value',
  'lua-replicate-commands',
];

function loadLine(
  config: RedisConfig,
  words: readonly string[],
  options: LoadOptions,
  loaded: LoadedConfig,
): string | null {
  const name = words[0]!.toLowerCase();
  const setting = settings.get(name);
  if (setting !== undefined) return loadSetting(config, setting, words.slice(1), options, loaded);
  if (name === 'include' && words.length === 2) {
    for (const text of options.include(words[1]!)) loadConfigText(config, text, options, loaded);
    return null;
  }
  if (name === 'rename-command' && words.length === 3) {
    loaded.renames.set(words[1]!.toLowerCase(), words[2]!);
    return null;
  }
  if (name === 'user' && words.length >= 2) {
    const declaration = words.slice(1);
    const error = checkUserLine(declaration, loaded.users);
    if (error === null) loaded.users.push(declaration);
    return error;
  }
  if (name === 'loadmodule' && words.length >= 2) {
    loaded.ignored.push(name);
    return null;
  }
  if (goneDirectives.includes(name) && words.length === 2) return null;
  if (name === 'sentinel') return 'sentinel directive while not in sentinel mode';
  return 'Bad directive or wrong number of arguments';
}

function loadSetting(
  config: RedisConfig,
  setting: Setting,
  values: readonly string[],
  options: LoadOptions,
  loaded: LoadedConfig,
): string | null {
  if (!setting.about.multi && values.length !== 1) return 'wrong number of arguments';
  const inOneWord = setting.about.multi && values.length === 1 && values[0] !== '';
  const words = inOneWord ? (splitWords(values[0]!) ?? values) : values;
  const parsed = parseSetting(setting, words, config);
  if (parsed.error !== null) return parsed.error;
  const refusal = options.check?.(setting.directive, parsed.value) ?? null;
  if (refusal !== null) return refusal;
  let value = parsed.value;
  // The first save line replaces the default points, each later one adds to them; only an empty word takes all back.
  if (setting.directive === 'save' && loaded.named.has('save') && values[0] !== '') {
    value = [...config.save, ...(value as typeof config.save)];
  }
  if (setting.directive === 'dir') {
    const error = options.changeFolder(value as string);
    if (error !== null) return error;
  }
  storeSetting(config, setting, value);
  loaded.named.add(setting.directive);
  return null;
}

/** Lines about directives that were given, ask for something, and that this engine accepts without acting on them, grouped by the reason. */
export function inertNotices(config: RedisConfig, loaded: LoadedConfig): string[] {
  const byReason = new Map<string, string[]>();
  for (const directive of loaded.named) {
    const setting = settings.get(directive)!;
    const reason = setting.about.inert;
    if (reason === null) continue;
    // What is switched off needs no effect.
    const printed = formatSetting(setting, readSetting(config, setting));
    if (printed === '' || printed === 'no') continue;
    byReason.set(reason, [...(byReason.get(reason) ?? []), directive]);
  }
  for (const line of loaded.ignored) byReason.set('it is not supported', [line]);
  return [...byReason].map(([reason, names]) => `WARNING accepted without effect, as ${reason}: ${names.join(', ')}`);
}

const signature = '# Generated by CONFIG REWRITE';
const multiLine: readonly DirectiveName[] = ['save', 'client-output-buffer-limit'];

/** The lines that express a setting. */
function settingLines(setting: Setting, value: unknown, config: RedisConfig): string[] {
  const printed = formatSetting(setting, value);
  if (setting.directive === 'save') {
    return config.save.length === 0
      ? ['save ""']
      : config.save.map((point) => `save ${point.seconds} ${point.changes}`);
  }
  if (setting.directive === 'client-output-buffer-limit') {
    const words = printed.split(' ');
    const lines: string[] = [];
    for (let i = 0; i < words.length; i += 4) lines.push(`${setting.directive} ${words.slice(i, i + 4).join(' ')}`);
    return lines;
  }
  // There is no way to say that there is no master but by silence.
  if (setting.directive === 'replicaof' && printed === '') return [];
  const plain = setting.about.multi || setting.about.kind !== 'string';
  if (setting.about.kind === 'memory') return [`${setting.directive} ${humanMemory(value as number)}`];
  return [`${setting.directive} ${plain && printed !== '' ? printed : quoteWord(printed)}`];
}

function humanMemory(bytes: number): string {
  for (const [unit, size] of [
    ['gb', 1024 ** 3],
    ['mb', 1024 ** 2],
    ['kb', 1024],
  ] as const) {
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return String(bytes);
}

/**
 * The text of a configuration file brought up to date: a line that names a changed setting is replaced, settings that differ from their
 * default and had no line are added at the end, everything else stays as it was.
 * @param text the present content
 * @param userLines the users of the server, which replace the `user` lines there were; none where they lie in a file of their own
 * @param everything also settings that have their default and no line get one
 */
export function rewriteConfigText(
  config: RedisConfig,
  defaults: RedisConfig,
  text: string,
  userLines: readonly string[] = [],
  everything = false,
): string {
  const lines = text === '' ? [] : text.replace(/\n$/, '').split('\n');
  const places = new Map<DirectiveName, number[]>();
  const userPlaces: number[] = [];
  let signed = false;
  lines.forEach((line, index) => {
    const trimmed = line.replace(isTrimmed, '');
    if (trimmed === signature) signed = true;
    if (trimmed === '' || trimmed.startsWith('#')) return;
    const name = (splitWords(trimmed)?.[0] ?? '').toLowerCase();
    if (name === 'user') userPlaces.push(index);
    const setting = settings.get(name);
    if (setting !== undefined) places.set(setting.directive, [...(places.get(setting.directive) ?? []), index]);
  });
  const out: (string | null)[] = [...lines];
  const added: string[] = [];
  for (const setting of settings.values()) {
    if (setting.name !== setting.directive) continue;
    const at = places.get(setting.directive) ?? [];
    const value = readSetting(config, setting);
    const same = formatSetting(setting, value) === formatSetting(setting, readSetting(defaults, setting));
    const wanted = same && !everything && at.length === 0 ? [] : settingLines(setting, value, config);
    at.forEach((place, k) => {
      out[place] = wanted[k] ?? null;
    });
    // Several lines of one setting stay together where the first of them stood.
    const rest = wanted.slice(at.length);
    if (rest.length > 0 && at.length > 0 && multiLine.includes(setting.directive)) {
      out[at.at(-1)!] = [out[at.at(-1)!], ...rest].filter((line) => line !== null).join('\n');
    } else {
      added.push(...rest);
    }
  }
  userPlaces.forEach((place, k) => {
    out[place] = userLines[k] ?? null;
  });
  added.push(...userLines.slice(userPlaces.length));
  if (added.length > 0 && !signed) added.unshift(signature);
  return `${[...out.filter((line) => line !== null), ...added].join('\n')}\n`;
}
