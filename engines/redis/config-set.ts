/** Changing settings at run time, all or nothing, and finding them by name or pattern. */
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

/** Makes a new value take effect. @returns null, or why it cannot (the change is then undone) */
export type SettingApplier = (config: RedisConfig) => string | null;
export type SettingAppliers = Map<DirectiveName, SettingApplier>;

const unknownOption = (name: string) => `Unknown option or number of arguments for CONFIG SET - '${name}'`;
const failed = (name: string, why: string) => `CONFIG SET failed (possibly related to argument '${name}') - ${why}`;

/** Looks a setting up as CONFIG SET and CONFIG GET do: in any case. */
export function findSetting(name: string): Setting | null {
  return settings.get(name.toLowerCase()) ?? null;
}

/** The reply to what cannot be done while data are loaded. */
export const LOADING_ERROR = '-LOADING Redis is loading the dataset in memory';

function checkNames(
  pairs: readonly (readonly [string, string])[],
  protectedAllowed: boolean,
  loading: boolean,
): Setting[] | string {
  const found: Setting[] = [];
  let error: string | null = null;
  for (const [name] of pairs) {
    const setting = findSetting(name);
    if (setting === null) return unknownOption(name);
    if (error === null) {
      if (setting.about.immutable) error = failed(setting.name, "can't set immutable config");
      else if (setting.about.protectedSetting && !protectedAllowed) {
        error = failed(setting.name, "can't set protected config");
      } else if (setting.about.notWhileLoading && loading) error = LOADING_ERROR;
      else if (found.includes(setting)) error = failed(setting.name, 'duplicate parameter');
    }
    found.push(setting);
  }
  return error ?? found;
}

/**
 * Sets several settings, or none when one of them is refused.
 * @param pairs names and values as the client wrote them
 * @returns null, or the text of the error reply
 */
export function setSettings(
  config: RedisConfig,
  pairs: readonly (readonly [string, string])[],
  appliers: SettingAppliers,
  protectedAllowed: boolean,
  loading = false,
): string | null {
  const found = checkNames(pairs, protectedAllowed, loading);
  if (typeof found === 'string') return found;
  const before = found.map((setting) => readSetting(config, setting));
  const undo = () => {
    for (let i = 0; i < found.length; i++) storeSetting(config, found[i]!, before[i]);
  };
  for (let i = 0; i < found.length; i++) {
    const setting = found[i]!;
    const value = pairs[i]![1];
    const words = setting.about.multi ? (value === '' ? [] : value.split(' ')) : [value];
    const parsed = parseSetting(setting, words, config);
    if (parsed.error !== null) {
      undo();
      return failed(setting.name, parsed.error);
    }
    storeSetting(config, setting, parsed.value);
  }
  for (let i = 0; i < found.length; i++) {
    const error = appliers.get(found[i]!.directive)?.(config) ?? null;
    if (error === null) continue;
    undo();
    for (let k = 0; k < i; k++) appliers.get(found[k]!.directive)?.(config);
    return failed(found[i]!.name, error);
  }
  return null;
}

/**
 * @param matches whether a name matches the pattern, in any case
 * @returns name and printed value of each setting that a name or pattern selects, each once. A plain name is reported as it was written.
 */
export function getSettings(
  config: RedisConfig,
  patterns: readonly string[],
  matches: (pattern: string, name: string) => boolean,
): Map<string, string> {
  const result = new Map<string, string>();
  const seen = new Set<Setting>();
  const add = (shown: string, setting: Setting) => {
    if (seen.has(setting)) return;
    seen.add(setting);
    result.set(shown, formatSetting(setting, readSetting(config, setting)));
  };
  for (const pattern of patterns) {
    if (/[[*?]/.test(pattern)) {
      for (const setting of settings.values()) {
        if (!setting.about.hidden && matches(pattern, setting.name)) add(setting.name, setting);
      }
    } else {
      const setting = findSetting(pattern);
      if (setting !== null) add(pattern, setting);
    }
  }
  return result;
}
