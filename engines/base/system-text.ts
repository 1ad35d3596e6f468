/** Errors of system calls in the words of the C library. */
const systemTexts: Readonly<Record<string, string>> = {
  ENOENT: 'No such file or directory',
  EACCES: 'Permission denied',
  EISDIR: 'Is a directory',
  ENOTDIR: 'Not a directory',
  EADDRINUSE: 'Address already in use',
  EADDRNOTAVAIL: 'Cannot assign requested address',
  EAFNOSUPPORT: 'Address family not supported by protocol',
  EPERM: 'Operation not permitted',
  EROFS: 'Read-only file system',
  ENOSPC: 'No space left on device',
  ENAMETOOLONG: 'File name too long',
  EINVAL: 'Invalid argument',
  EIO: 'Input/output error',
  EDQUOT: 'Disk quota exceeded',
  EFBIG: 'File too large',
  EMFILE: 'Too many open files',
  ENFILE: 'Too many open files in system',
  EBUSY: 'Device or resource busy',
  ENOMEM: 'Cannot allocate memory',
  EEXIST: 'File exists',
  ELOOP: 'Too many levels of symbolic links',
  ENXIO: 'No such device or address',
  ETXTBSY: 'Text file busy',
};

/** The C library's words for a system error, as the original's messages carry them. */
export function systemText(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string' && systemTexts[code] !== undefined) return systemTexts[code];
  return error instanceof Error ? error.message : String(error);
}
