/** What C's strerror says where it is not what Node says with a capital letter. */
const OTHER_TEXTS: Readonly<Record<string, string>> = { EISDIR: 'Is a directory', EROFS: 'Read-only file system' };

/** The text of a system error as the originals print it: Node's is "ENOENT: no such file or directory, open '…'", C's "No such file or directory". */
export function systemErrorText(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const text = /^[A-Z]\w*: (.+?), \w+/.exec(message)?.[1] ?? message;
  return OTHER_TEXTS[code ?? ''] ?? text.charAt(0).toUpperCase() + text.slice(1);
}
