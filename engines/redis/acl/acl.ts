/**
 * The users of a server. A client always has one; the one called "default" is what a connection begins with, and cannot be removed.
 * What a check found out of order is remembered here for ACL LOG.
 */
import { AclLog } from './acl-log.ts';
import { type AclDefaults, AclUser } from './user.ts';

const DEFAULT_USER = 'default';

/** A change of a user that was refused: which rule and why. */
export interface RuleError {
  readonly rule: string;
  readonly reason: string;
}

export class Acl {
  readonly users = new Map<string, AclUser>();
  /** Never replaced, whatever becomes of its permissions. */
  readonly defaultUser: AclUser;
  readonly log = new AclLog();
  /** New users and selectors may use all channels: acl-pubsub-default. */
  defaults: AclDefaults = { allChannels: false };
  private requirepass = '';

  constructor() {
    this.defaultUser = new AclUser(DEFAULT_USER, this.defaults);
    this.users.set(DEFAULT_USER, this.defaultUser);
    this.resetDefaultUser();
  }

  private resetDefaultUser(): void {
    const user = this.defaultUser;
    user.copyFrom(new AclUser(DEFAULT_USER, this.defaults));
    for (const rule of ['+@all', '~*', '&*', 'on', 'nopass']) user.apply(rule, this.defaults);
    user.refresh();
  }

  /** Takes over the settings that concern users; a changed requirepass becomes the default user's only password. */
  configure(requirepass: string, pubsubDefault: string): void {
    const allChannels = pubsubDefault === 'allchannels';
    if (allChannels !== this.defaults.allChannels) this.defaults = { allChannels };
    if (requirepass === this.requirepass) return;
    this.requirepass = requirepass;
    const user = this.defaultUser;
    user.apply('resetpass', this.defaults);
    user.apply(requirepass === '' ? 'nopass' : `>${requirepass}`, this.defaults);
    user.refresh();
  }

  /** Whether a connection has to log in before it may do anything. */
  get loginRequired(): boolean {
    return !this.defaultUser.noPassword || !this.defaultUser.enabled;
  }

  /** In the original's order, that of their bytes. */
  sorted(): AclUser[] {
    return [...this.users.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** @returns the user, or null when name or password are wrong or it is switched off */
  logIn(name: string, password: string): AclUser | null {
    const user = this.users.get(name);
    return user?.accepts(password) ? user : null;
  }

  /**
   * What a user would be after some rules; itself it stays as it was.
   * @param rules as joinSelectorWords made them
   */
  preview(name: string, rules: readonly string[]): AclUser | RuleError {
    const changed = new AclUser(name, this.defaults);
    const present = this.users.get(name);
    if (present !== undefined) changed.copyFrom(present);
    for (const rule of rules) {
      const reason = changed.apply(rule, this.defaults);
      if (reason !== null) return { rule, reason };
    }
    changed.refresh();
    return changed;
  }

  /** Makes a user like what `preview` returned. */
  put(changed: AclUser): void {
    let user = this.users.get(changed.name);
    if (user === undefined) this.users.set(changed.name, (user = new AclUser(changed.name, this.defaults)));
    user.copyFrom(changed);
  }

  /**
   * Replaces all users. The default user keeps its identity, and falls back to its first state unless it is among the new ones.
   * @returns the users that are no more
   */
  replaceAll(users: readonly AclUser[]): AclUser[] {
    const gone = [...this.users.values()].filter((user) => user !== this.defaultUser);
    this.users.clear();
    this.users.set(DEFAULT_USER, this.defaultUser);
    this.resetDefaultUser();
    for (const user of users) {
      if (user.name === DEFAULT_USER) this.defaultUser.copyFrom(user);
      else this.users.set(user.name, user);
    }
    return gone;
  }

  /** The lines of ACL LIST and of an ACL file. */
  lines(): string[] {
    return this.sorted().map((user) => `user ${user.name} ${user.describe()}`);
  }
}
