/** What the triggers of a pause say (pause.ts); the drivers know it again. */
export const PAUSED_WORD = "keyturn_paused";
/** The same as PostgreSQL says it: of the class that means "operator intervention". */
export const PAUSED_SQLSTATE = "57KT1";
