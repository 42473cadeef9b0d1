import { limits } from "../primitives/limits.ts";

/** A checked name, or what is wrong with it, as a sentence for the operator. */
export type Checked<T = string> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: string };

/** Something that a role allows: at one resource, or everywhere. */
export interface Permission {
  readonly permission: string;
  /** The audience at which it counts; undefined: at every one. */
  readonly resource: string | undefined;
}

const ROLE = /^[A-Za-z0-9][A-Za-z0-9:._-]{0,63}$/;
const PERMISSION = /^[A-Za-z0-9][A-Za-z0-9:._/-]{0,63}$/;
/** An audience: the id of a resource, or a URL. No spaces: lists of such names are separated by them. */
const RESOURCE = /^[!-~]+$/;

export const isRoleName = (name: string): boolean => ROLE.test(name);

export function checkRoleName(name: string): Checked {
  return isRoleName(name)
    ? { ok: true, value: name }
    : no(
        `A role has 1 to ${limits.roleCharactersMax} of A-Z a-z 0-9 : . _ - and begins with a letter or a digit.`,
      );
}

/** Where a role or a permission counts; undefined and empty are everywhere, which is stored as empty. */
export function checkResource(resource: string | undefined): Checked {
  if (resource === undefined || resource === "") return { ok: true, value: "" };
  return resource.length <= limits.resourceCharactersMax && RESOURCE.test(resource)
    ? { ok: true, value: resource }
    : no(
        `A resource is an audience: 1 to ${limits.resourceCharactersMax} visible ASCII characters, without spaces.`,
      );
}

/** `orders:read`, or `orders:read@orders` for one resource. */
function parsePermission(text: string): Checked<Permission> {
  const at = text.indexOf("@");
  const permission = at < 0 ? text : text.slice(0, at);
  if (!PERMISSION.test(permission)) {
    return no(
      `A permission has 1 to ${limits.permissionCharactersMax} of A-Z a-z 0-9 : . _ - / and begins with a letter or a digit; @ and a resource may follow.`,
    );
  }
  const resource = at < 0 ? undefined : text.slice(at + 1);
  if (resource === "") return no("After the @ of a permission stands the resource at which it counts.");
  const checked = checkResource(resource);
  return checked.ok ? { ok: true, value: { permission, resource } } : checked;
}

export function formatPermission({ permission, resource }: Permission): string {
  return resource === undefined ? permission : `${permission}@${resource}`;
}

/** Each once, in order; at most as many as a role may have. */
export function checkPermissions(texts: readonly string[]): Checked<Permission[]> {
  const found = new Map<string, Permission>();
  for (const text of texts) {
    const parsed = parsePermission(text);
    if (!parsed.ok) return parsed;
    found.set(formatPermission(parsed.value), parsed.value);
    if (found.size > limits.permissionsPerRoleMax) {
      return no(`A role has at most ${limits.permissionsPerRoleMax} permissions; make two roles of it.`);
    }
  }
  const sorted = [...found.keys()].sort();
  return { ok: true, value: sorted.map((key) => found.get(key) as Permission) };
}

/** What a role is for, as one line. */
export function checkDescription(text: string): Checked {
  const value = text.trim().normalize("NFC");
  const isShort = text.length <= 4 * limits.roleDescriptionCharactersMax && text.isWellFormed();
  if (!isShort || [...value].length > limits.roleDescriptionCharactersMax) {
    return no(`A description has at most ${limits.roleDescriptionCharactersMax} characters.`);
  }
  return /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u.test(value)
    ? no("A description has no line breaks, control characters or direction marks.")
    : { ok: true, value };
}

function no(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}
