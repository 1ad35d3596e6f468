/** Keys as log lines and dumps show them: what is neither a letter, a digit nor one of -._~ becomes % and two hexadecimal digits. */
const ENCODED: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const text = String.fromCharCode(byte);
  return /^[A-Za-z0-9\-._~]$/.test(text) ? text : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
});

export function uriEncode(u8: Uint8Array, at: number, length: number): string {
  let text = '';
  for (let i = 0; i < length; i++) text += ENCODED[u8[at + i]!];
  return text;
}
