/** Users as text: the lines of an ACL file and the `user` lines of a configuration. Texts hold one byte a character. */
import type { Acl } from './acl.ts';
import { UNKNOWN_COMMAND } from './selector.ts';
import { type AclDefaults, AclUser, joinSelectorWords } from './user.ts';

const NO_CHANGE = 'WARNING: ACL errors detected, no change to the previously active ACL rules was performed';
const blanks = /^[ \t\r\n]+|[ \t\r\n]+$/g;

/** Names that would not survive being written to a file. */
export function isUserName(name: string): boolean {
  return !/[ \t\n\v\f\r\0]/.test(name);
}

/**
 * Reads an ACL file.
 * @param path is shown in errors
 * @returns the users, or every error in one line
 */
export function parseAclFile(text: string, path: string, defaults: AclDefaults): AclUser[] | string {
  const users = new Map<string, AclUser>();
  let errors = '';
  const lines = text.split('\n');
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!.replace(blanks, '');
    if (line === '') continue;
    const [keyword, name, ...words] = line.split(' ');
    if (keyword !== 'user' || name === undefined) {
      errors += `${path}:${i + 1} should start with user keyword followed by the username. `;
    } else if (!isUserName(name)) {
      errors += `${path}:${i + 1}: username '${name}' contains invalid characters. `;
    } else if (users.has(name)) {
      errors += `WARNING: Duplicate user '${name}' found on line ${i + 1}. `;
    } else {
      const user = new AclUser(name, defaults);
      errors += applyWords(user, words, `${path}:${i + 1}`, defaults);
      users.set(name, user);
    }
  }
  return errors === '' ? [...users.values()] : errors + NO_CHANGE;
}

/** @returns the errors of one line: unknown commands all of them, of the others the first */
function applyWords(user: AclUser, words: readonly string[], place: string, defaults: AclDefaults): string {
  const { rules, unmatched } = joinSelectorWords(words);
  if (unmatched !== null) return `${place}: Unmatched parenthesis in selector definition. `;
  let errors = '';
  let other = false;
  for (const rule of rules) {
    const reason = user.apply(rule.replace(blanks, ''), defaults);
    if (reason === null) continue;
    if (reason === UNKNOWN_COMMAND) errors += `${place}: Error in applying operation '${rule}': ${reason}. `;
    else if (!other) {
      errors += `${place}: ${reason}. `;
      other = true;
    }
  }
  user.refresh();
  return errors;
}

/**
 * Looks at a `user` line while a configuration is being read. Unknown commands are told later, when users are made of the lines.
 * @param words name and rules
 * @param before the lines so far
 * @returns null or the error
 */
export function checkUserLine(words: readonly string[], before: readonly (readonly string[])[]): string | null {
  const name = words[0]!;
  if (before.some((line) => line[0] === name)) {
    return `Error in user declaration '${name}': Duplicate user found. A user can only be defined once in config files`;
  }
  const { rules, unmatched } = joinSelectorWords(words.slice(1));
  if (unmatched !== null) {
    return `Error in user declaration '${name}': Unmatched parenthesis in acl selector starting at '${unmatched}'.`;
  }
  const defaults = { allChannels: false };
  const user = new AclUser(name, defaults);
  for (let i = 0; i < rules.length; i++) {
    const reason = user.apply(rules[i]!, defaults);
    if (reason === null || reason === UNKNOWN_COMMAND) continue;
    // The original names the word two places before the rule; the line itself is printed above.
    return `Error in user declaration '${['user', name, ...rules][i]}': ${reason}`;
  }
  return null;
}

/**
 * Makes users of the lines of a configuration that checkUserLine found good.
 * @returns null or the error
 */
export function applyUserLines(acl: Acl, lines: readonly (readonly string[])[]): string | null {
  for (const [name, ...words] of lines) {
    if (!isUserName(name!)) return 'Spaces not allowed in ACL usernames';
    const user = new AclUser(name!, acl.defaults);
    if (name === acl.defaultUser.name) user.apply('reset', acl.defaults);
    for (const rule of joinSelectorWords(words).rules) {
      const reason = user.apply(rule, acl.defaults);
      if (reason !== null) return `Error loading ACL rule '${rule}' for the user named '${name}': ${reason}`;
    }
    user.refresh();
    acl.put(user);
  }
  return null;
}
