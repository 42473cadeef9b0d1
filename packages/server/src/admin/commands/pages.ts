export interface Page {
  /** The `next` of the page before. */
  readonly from?: string | undefined;
  /** Default: 100. */
  readonly rows?: number | undefined;
}

/** Up to `rows` rows, from pages as the rooms hand them out. One row more is read, to know whether more follow. */
export async function readRows<T extends { readonly id: string }>(
  { from, rows = 100 }: Page,
  read: (cursor: string | undefined) => Promise<readonly T[]>,
): Promise<{ rows: T[]; next: string | undefined }> {
  const found: T[] = [];
  for (let cursor = from; found.length <= rows; cursor = found.at(-1)?.id) {
    const part = await read(cursor);
    if (part.length === 0) break;
    found.push(...part);
  }
  const kept = found.slice(0, rows);
  return { rows: kept, next: found.length > rows ? kept.at(-1)?.id : undefined };
}
