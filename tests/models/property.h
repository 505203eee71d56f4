/* PROPERTY(name) declares a named property, PROP(name, condition) checks it (inside an atomic or d_step). pan prints the name when it fails (the hidden byte stands in
   the text of the assertion, it is always 0 and no part of a state) and, at its end, how often each property was evaluated. */
#define PROPERTY(name) \
  hidden byte name; \
  c_decl { static unsigned long hits_##name; \
           __attribute__((destructor)) static void show_##name(void) { printf("property %s %lu\n", #name, hits_##name); } }
#define PROP(name, condition) c_code { hits_##name++; }; assert(name || (condition))
