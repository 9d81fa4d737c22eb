[W] 1795644564.180313 19210 qi.path.sdklayout: No Application was created, trying to deduce paths
[I] 1795644564.189313 19226 qimessaging.servicedirectory: Registered Service "ServiceDirectory" (#1)
[I] 1795644564.207326 19224 qimessaging.servicedirectory: Registered Service "Echo" (#2)
[I] 1795644564.208566 19226 qimessaging.servicedirectory: Registered Service "Strand" (#3)
ready {"endpoints": ["tcp://127.0.0.1:36461"]}
[I] 1795644571.374732 19227 qimessaging.servicedirectory: Unregistered Service "Strand" (#3)
[I] 1795644571.374820 19227 qimessaging.servicedirectory: Unregistered Service "Echo" (#2)
