/** A user of the server: whether and with which passwords one may log in as it, and its permissions. */
import { splitWords } from '../config-words.ts';
import { sha256Hex } from '../sha256.ts';
import { Selector, SYNTAX } from './selector.ts';

const HASH = /^[0-9a-f]{64}$/;
const BAD_HASH = 'The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters';

/** What new users and selectors may subscribe to: acl-pubsub-default. */
export interface AclDefaults {
  readonly allChannels: boolean;
}

export class AclUser {
  readonly name: string;
  enabled = false;
  /** Any password will do. */
  noPassword = false;
  /** null: as the server says; else whether payloads of RESTORE are checked. Shown, and without further effect: they always are. */
  sanitizePayload: boolean | null = null;
  /** SHA-256 hashes as hexadecimal digits. */
  passwords: string[] = [];
  /** At least one. */
  selectors: Selector[];
  /** May do everything: one look at this spares the rest. Kept by `refresh`. */
  unrestricted = false;
  private described: string | null = null;

  constructor(name: string, defaults: AclDefaults) {
    this.name = name;
    this.selectors = [new Selector(defaults.allChannels)];
  }

  get root(): Selector {
    return this.selectors[0]!;
  }

  /** Takes over everything but the name. */
  copyFrom(other: AclUser): void {
    this.enabled = other.enabled;
    this.noPassword = other.noPassword;
    this.sanitizePayload = other.sanitizePayload;
    this.passwords = [...other.passwords];
    this.selectors = other.selectors.map((selector) => selector.clone());
    this.refresh();
  }

  /** After rules have been applied. */
  refresh(): void {
    const root = this.root;
    this.unrestricted = root.allCommands && root.allKeys && root.allChannels;
    this.described = null;
  }

  /** Whether one may log in with this password. */
  accepts(password: string): boolean {
    if (!this.enabled) return false;
    if (this.noPassword) return true;
    const hash = sha256Hex(password);
    let found = false;
    // All are compared to the end: the time tells nothing.
    for (const one of this.passwords) found = sameText(one, hash) || found;
    return found;
  }

  /**
   * Applies one rule; a selector in parentheses is one rule. `refresh` belongs behind the last one.
   * @returns null, or what is wrong with it in the original's words
   */
  apply(rule: string, defaults: AclDefaults): string | null {
    switch (rule.toLowerCase()) {
      case '':
        return null;
      case 'on':
        this.enabled = true;
        return null;
      case 'off':
        this.enabled = false;
        return null;
      case 'nopass':
        this.noPassword = true;
        this.passwords = [];
        return null;
      case 'resetpass':
        this.noPassword = false;
        this.passwords = [];
        return null;
      case 'skip-sanitize-payload':
        this.sanitizePayload = false;
        return null;
      case 'sanitize-payload':
        this.sanitizePayload = true;
        return null;
      case 'clearselectors':
        this.selectors = [this.root];
        return null;
      case 'reset':
        this.reset(defaults);
        return null;
      default:
        break;
    }
    if (rule[0] === '>') return this.addPassword(sha256Hex(rule.slice(1)));
    if (rule[0] === '#') return HASH.test(rule.slice(1)) ? this.addPassword(rule.slice(1)) : BAD_HASH;
    if (rule[0] === '<') return this.removePassword(sha256Hex(rule.slice(1)));
    if (rule[0] === '!') return HASH.test(rule.slice(1)) ? this.removePassword(rule.slice(1)) : BAD_HASH;
    if (rule[0] === '(' && rule.at(-1) === ')') return this.addSelector(rule.slice(1, -1), defaults);
    return this.root.apply(rule);
  }

  private reset(defaults: AclDefaults): void {
    this.enabled = false;
    this.noPassword = false;
    this.passwords = [];
    this.sanitizePayload = true;
    const root = this.root;
    for (const rule of ['resetkeys', 'resetchannels', '-@all']) root.apply(rule);
    if (defaults.allChannels) root.apply('allchannels');
    this.selectors = [root];
  }

  private addPassword(hash: string): null {
    if (!this.passwords.includes(hash)) this.passwords.push(hash);
    this.noPassword = false;
    return null;
  }

  private removePassword(hash: string): string | null {
    const at = this.passwords.indexOf(hash);
    if (at < 0) return 'The password you are trying to remove from the user does not exist';
    this.passwords.splice(at, 1);
    return null;
  }

  private addSelector(text: string, defaults: AclDefaults): string | null {
    const rules = splitWords(text);
    if (rules === null) return SYNTAX;
    const selector = new Selector(defaults.allChannels);
    for (const rule of rules) {
      const error = selector.apply(rule);
      if (error !== null) return error;
    }
    this.selectors.push(selector);
    return null;
  }

  flagWords(): string[] {
    const words = [this.enabled ? 'on' : 'off'];
    if (this.noPassword) words.push('nopass');
    if (this.sanitizePayload !== null) words.push(this.sanitizePayload ? 'sanitize-payload' : 'skip-sanitize-payload');
    return words;
  }

  /** The rules that make this user of a new one. */
  describe(): string {
    this.described ??= [
      ...this.flagWords(),
      ...this.passwords.map((hash) => `#${hash}`),
      ...this.selectors.map((selector, i) => (i === 0 ? selector.describe() : `(${selector.describe()})`)),
    ].join(' ');
    return this.described;
  }
}

/** Compares without telling by its duration how much was right. */
function sameText(a: string, b: string): boolean {
  let different = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) different |= a.charCodeAt(i) ^ b.charCodeAt(i % Math.max(1, b.length));
  return different === 0;
}

/**
 * Joins the words of selectors in parentheses that were given as several arguments: "(+get", "~k)" is one rule.
 * @returns the rules, or the text of the error
 */
export function joinSelectorWords(words: readonly string[]): { rules: string[]; unmatched: string | null } {
  const rules: string[] = [];
  let open: string | null = null;
  let openedBy = '';
  for (const word of words) {
    if (word.startsWith('(') && !word.endsWith(')')) {
      // As in the original a second one begins anew: what the first one had is gone.
      open = word;
      openedBy = word;
    } else if (open !== null) {
      open += ` ${word}`;
      if (word.endsWith(')')) {
        rules.push(open);
        open = null;
      }
    } else {
      rules.push(word);
    }
  }
  return { rules, unmatched: open === null ? null : openedBy };
}
