package forms

// pageStyle is small and needs nothing from elsewhere. Text has a contrast of at least 7:1, borders and what is in focus at least 3:1.
const pageStyle = `:root{color-scheme:light dark;--back:#fff;--text:#1c1f23;--quiet:#4a5058;--edge:#6b737c;--wrong:#a01222;--button:#174ea6;--ink:#fff}` +
	`@media(prefers-color-scheme:dark){:root{--back:#16181b;--text:#f0f2f4;--quiet:#b9c0c8;--edge:#8b949e;--wrong:#ffb3ba;--button:#a8c7fa;--ink:#0b1220}}` +
	`body{margin:0;background:var(--back);color:var(--text);font:1rem/1.6 system-ui,sans-serif}` +
	`main{box-sizing:border-box;max-width:36rem;margin:auto;padding:2rem 1.5rem}` +
	`h1{margin:0 0 1rem;font-size:1.75rem;line-height:1.2}h2{margin:0;font-size:1.125rem}p{margin:0 0 1rem}` +
	`.field{margin:0 0 1.25rem}label{display:block;font-weight:600}.box label{display:inline;font-weight:400}.quiet{color:var(--quiet);font-size:.875rem;font-weight:400}` +
	`input,select,textarea{box-sizing:border-box;width:100%;min-height:2.75rem;padding:.5rem;border:1px solid var(--edge);border-radius:.25rem;background:var(--back);color:var(--text);font:inherit}` +
	`input[type=checkbox]{width:1.5rem;min-height:1.5rem;height:1.5rem;margin:0 .5rem 0 0;vertical-align:middle}textarea{min-height:9rem}` +
	`[aria-invalid=true]{border:2px solid var(--wrong)}.reason{margin:.25rem 0 0;color:var(--wrong)}` +
	`.summary{margin:0 0 1.5rem;padding:1rem;border:2px solid var(--wrong)}.summary ul{margin:.5rem 0 0;padding-left:1.25rem}.summary a{color:var(--wrong)}` +
	`button{min-height:2.75rem;padding:.5rem 1.5rem;border:2px solid var(--button);border-radius:.25rem;background:var(--button);color:var(--ink);font:inherit;font-weight:600;cursor:pointer}` +
	`:focus-visible{outline:3px solid var(--text);outline-offset:2px}code{font-family:ui-monospace,monospace;overflow-wrap:anywhere}`
