/**
 * The version of this package, as in its package.json.
 *
 * Nothing else is exported yet: signing in and refreshing arrive in a later version.
 */
export const version = "0.1.0";
