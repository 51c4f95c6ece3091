// Style sheets are bundled by esbuild; a module imports one for its effect alone.
declare module '*.css';
