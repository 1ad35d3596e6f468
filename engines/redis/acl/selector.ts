/** One set of permissions: which commands, on which keys, with which channels. A user has a first one and maybe more. */
import {
  ACL_CATEGORIES,
  type AclCommand,
  aclCategoryBit,
  aclCommands,
  allAclCommands,
  FUTURE_COMMANDS,
  findAclCommand,
} from './universe.ts';

export const KEY_READ = 1;
export const KEY_WRITE = 2;

/** A glob over keys and what may be done with those that match. */
export interface KeyPattern {
  readonly text: string;
  /** The same as bytes, for matching. */
  readonly bytes: Uint8Array;
  access: number;
}

export interface ChannelPattern {
  readonly text: string;
  readonly bytes: Uint8Array;
}

export const SYNTAX = 'Syntax error';
/** The one error that later configuration could still mend, in the original by loading a module. */
export const UNKNOWN_COMMAND = 'Unknown command or category name in ACL';
const NO_EFFECT = (all: string, word: string, what: string) =>
  `Adding a pattern after the * pattern (or the '${all}' flag) is not valid and does not have any effect. Try '${word}' to ` +
  `start with an empty list of ${what}`;

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
const hasBlank = (text: string): boolean => /[ \t\n\v\f\r\0]/.test(text);

export class Selector {
  allKeys = false;
  allChannels: boolean;
  /** Every command, those of later versions included; a shortcut past the bits. */
  allCommands = false;
  /** One cell for each command of the universe, and one more for later ones. */
  readonly allowed = new Uint8Array(FUTURE_COMMANDS + 1);
  /** By a command's number: the words that its first argument may be although the command itself is not allowed. */
  readonly firstArguments = new Map<number, string[]>();
  keys: KeyPattern[] = [];
  channels: ChannelPattern[] = [];

  constructor(allChannels: boolean) {
    this.allChannels = allChannels;
  }

  clone(): Selector {
    const copy = new Selector(this.allChannels);
    copy.allKeys = this.allKeys;
    copy.allCommands = this.allCommands;
    copy.allowed.set(this.allowed);
    for (const [id, words] of this.firstArguments) copy.firstArguments.set(id, [...words]);
    copy.keys = this.keys.map((pattern) => ({ ...pattern }));
    copy.channels = [...this.channels];
    return copy;
  }

  /** Allows everything or nothing. */
  setAllCommands(allowed: boolean): void {
    this.allCommands = allowed;
    this.allowed.fill(allowed ? 1 : 0);
    this.firstArguments.clear();
  }

  /** Allows or forbids a command and its subcommands. */
  setCommand(command: AclCommand, allowed: boolean): void {
    this.allowed[command.id] = allowed ? 1 : 0;
    this.firstArguments.delete(command.id);
    for (const sub of command.subcommands) this.allowed[sub.id] = allowed ? 1 : 0;
    if (!allowed) this.allCommands = false;
  }

  setCategory(bit: number, allowed: boolean): void {
    for (const command of allAclCommands) if ((command.categories & bit) !== 0) this.setCommand(command, allowed);
  }

  /**
   * Applies one rule such as "+get", "~key*" or "resetkeys".
   * @returns null, or what is wrong with it in the original's words
   */
  apply(rule: string): string | null {
    switch (rule.toLowerCase()) {
      case '':
        return null;
      case 'allkeys':
      case '~*':
        this.allKeys = true;
        this.keys = [];
        return null;
      case 'resetkeys':
        this.allKeys = false;
        this.keys = [];
        return null;
      case 'allchannels':
      case '&*':
        this.allChannels = true;
        this.channels = [];
        return null;
      case 'resetchannels':
        this.allChannels = false;
        this.channels = [];
        return null;
      case 'allcommands':
      case '+@all':
        this.setAllCommands(true);
        return null;
      case 'nocommands':
      case '-@all':
        this.setAllCommands(false);
        return null;
      default:
        break;
    }
    const sign = rule[0];
    if (sign === '~' || sign === '%') return this.addKeyPattern(rule);
    if (sign === '&') return this.addChannel(rule.slice(1));
    if (sign !== '+' && sign !== '-') return SYNTAX;
    if (rule[1] === '@') {
      const bit = aclCategoryBit(rule.slice(2));
      if (bit === 0) return UNKNOWN_COMMAND;
      this.setCategory(bit, sign === '+');
      return null;
    }
    if (sign === '+' && rule.includes('|')) return this.allowNarrowly(rule.slice(1));
    const command = findAclCommand(rule.slice(1));
    if (command === null) return UNKNOWN_COMMAND;
    this.setCommand(command, sign === '+');
    return null;
  }

  private addKeyPattern(rule: string): string | null {
    if (this.allKeys) return NO_EFFECT('allkeys', 'resetkeys', 'patterns');
    let access = KEY_READ | KEY_WRITE;
    let text = rule.slice(1);
    if (rule[0] === '%') {
      // Each letter at most once; the original also takes "%R" without a pattern, which is then empty.
      const head = /^(r|w|rw|wr)(?:~|$)/i.exec(text);
      if (head === null) return SYNTAX;
      const letters = head[1]!.toLowerCase();
      access = (letters.includes('r') ? KEY_READ : 0) | (letters.includes('w') ? KEY_WRITE : 0);
      text = text.slice(head[0].length);
    }
    if (hasBlank(text)) return SYNTAX;
    const known = this.keys.find((pattern) => pattern.text === text);
    if (known !== undefined) known.access |= access;
    else this.keys.push({ text, bytes: bytesOf(text), access });
    return null;
  }

  private addChannel(text: string): string | null {
    if (this.allChannels) return NO_EFFECT('allchannels', 'resetchannels', 'channels');
    if (hasBlank(text)) return SYNTAX;
    if (!this.channels.some((channel) => channel.text === text)) this.channels.push({ text, bytes: bytesOf(text) });
    return null;
  }

  /** "config|get": a subcommand; "select|0": a command with this first argument only. */
  private allowNarrowly(name: string): string | null {
    const bar = name.lastIndexOf('|');
    const command = findAclCommand(name.slice(0, bar));
    const word = name.slice(bar + 1);
    if (command === null) return UNKNOWN_COMMAND;
    if (command.isSub) return 'Allowing first-arg of a subcommand is not supported';
    if (word === '') return SYNTAX;
    if (command.subcommands.length > 0) {
      const sub = findAclCommand(name);
      if (sub === null) return UNKNOWN_COMMAND;
      this.setCommand(sub, true);
      return null;
    }
    const words = this.firstArguments.get(command.id) ?? [];
    if (!words.some((one) => one.toLowerCase() === word.toLowerCase())) words.push(word);
    this.firstArguments.set(command.id, words);
    return null;
  }

  describeKeys(): string {
    if (this.allKeys) return '~*';
    return this.keys.map(describeKeyPattern).join(' ');
  }

  describeChannels(): string {
    if (this.allChannels) return '&*';
    return this.channels.map((channel) => `&${channel.text}`).join(' ');
  }

  describeCommands(): string {
    return describeCommands(this);
  }

  /** The rules that give these permissions to a user who has none. */
  describe(): string {
    const parts: string[] = [];
    if (this.allKeys || this.keys.length > 0) parts.push(this.describeKeys());
    if (!this.allChannels) parts.push('resetchannels');
    if (this.allChannels || this.channels.length > 0) parts.push(this.describeChannels());
    parts.push(describeCommands(this));
    return parts.join(' ');
  }
}

function describeKeyPattern({ text, access }: KeyPattern): string {
  if (access === (KEY_READ | KEY_WRITE)) return `~${text}`;
  return `${access === KEY_READ ? '%R' : '%W'}~${text}`;
}

/**
 * The command rules of a selector. Its bits do not remember how they came about, so rules are found that lead to them: from all or
 * nothing, then as long as some category fits most of what is left, that category, then single commands.
 *
 * `left` has the selector's bits with what the chosen categories did undone; `reached` has what the rules so far lead to.
 */
function describeCommands(selector: Selector): string {
  const subtract = selector.allowed[FUTURE_COMMANDS] === 1;
  const rules = [subtract ? '+@all' : '-@all'];
  const reached = new Selector(false);
  reached.setAllCommands(subtract);
  const left = selector.clone();
  const applied = new Set<number>();
  for (;;) {
    const best = bestCategory(left, subtract, applied);
    if (best < 0) break;
    applied.add(best);
    rules.push(`${subtract ? '-' : '+'}@${ACL_CATEGORIES[best]}`);
    reached.setCategory(1 << best, !subtract);
    left.setCategory(1 << best, subtract);
  }
  for (const command of aclCommands) {
    describeSingle(selector, reached, command, rules);
    for (const sub of command.subcommands) describeSingle(selector, reached, sub, rules);
  }
  return rules.join(' ');
}

/** @returns the category with the fewest commands that it would get wrong, among those that get more right than wrong; -1: none */
function bestCategory(left: Selector, subtract: boolean, applied: ReadonlySet<number>): number {
  const allowed = new Int32Array(ACL_CATEGORIES.length);
  const forbidden = new Int32Array(ACL_CATEGORIES.length);
  for (const command of allAclCommands) {
    const counts = left.allowed[command.id] === 1 ? allowed : forbidden;
    for (let i = 0; i < ACL_CATEGORIES.length; i++) if ((command.categories & (1 << i)) !== 0) counts[i]!++;
  }
  let best = -1;
  let fewestWrong = Number.POSITIVE_INFINITY;
  let mostRight = 0;
  for (let i = 0; i < ACL_CATEGORIES.length; i++) {
    if (applied.has(i)) continue;
    const right = subtract ? forbidden[i]! : allowed[i]!;
    const wrong = subtract ? allowed[i]! : forbidden[i]!;
    if (right > wrong && (wrong < fewestWrong || (wrong === fewestWrong && right > mostRight))) {
      best = i;
      fewestWrong = wrong;
      mostRight = right;
    }
  }
  return best;
}

function describeSingle(selector: Selector, reached: Selector, command: AclCommand, rules: string[]): void {
  const wanted = selector.allowed[command.id]!;
  if (wanted !== reached.allowed[command.id]) {
    rules.push(`${wanted === 1 ? '+' : '-'}${command.fullName}`);
    reached.setCommand(command, wanted === 1);
  }
  if (wanted === 1) return;
  for (const word of selector.firstArguments.get(command.id) ?? []) rules.push(`+${command.fullName}|${word}`);
}
